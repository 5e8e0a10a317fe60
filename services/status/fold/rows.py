"""The rows of records that a handful is about, outside the session, whose unit of work would cost more than all the rest.

What is heavy, a record's content and its sections, is neither read where that is not needed nor written where it did not
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Select, case, delete, func, select
from sqlmodel import Session, col

from services.status.tables import SECTION_NAMES, RecordRow, table_of
from shared.db.among import among
from shared.db.upsert import Columns, Upsert

CHUNK = 500
"""Rows per statement, where a spreadsheet may have any number."""
Row: TypeAlias = SimpleNamespace
"""A `RecordRow`'s columns. Two things stand for themselves: `content` is None where it is not known *or not needed*, and what
is in a column is never changed, only replaced."""
K = TypeVar("K")

TABLE = table_of(RecordRow)
NAMES = tuple(column.name for column in TABLE.columns)
HEAVY = ("content", *SECTION_NAMES)
BLANK = {name: field.get_default(call_default_factory=True) for name, field in RecordRow.model_fields.items()}


def _changed(standing: Columns, given: Columns) -> dict[str, Any]:
    light = {name: given[name] for name in NAMES if name not in ("id", *HEAVY)}
    return light | {name: func.coalesce(given[name], standing[name]) for name in HEAVY}


PUT = Upsert(TABLE, _changed)


class Rows:
    """By id. One that is asked for and not there is begun: facts may overtake those that they build on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[UUID, Row] = {}
        self._before: dict[UUID, dict[str, Any]] = {}

    def load(self, ids: Iterable[UUID]) -> None:
        """What is there."""
        for some in chunks(ids):
            self._read(_reading().where(among(self._session, TABLE.columns.id, some)))

    def load_batch(self, batch_id: UUID, after: UUID | None) -> UUID | None:
        """Some of a batch's, after that id; the last id, if there is one."""
        query = _reading().where(col(RecordRow.batch_id) == batch_id).order_by(col(RecordRow.id)).limit(CHUNK)
        return self._read(query if after is None else query.where(col(RecordRow.id) > after))

    def row(self, record_id: UUID, batch_id: UUID) -> Row:
        """The record's."""
        found = self._rows.get(record_id)
        if found is None:
            found = self._rows[record_id] = Row(**BLANK | {"id": record_id, "batch_id": batch_id})
        return found

    def is_new(self, record_id: UUID) -> bool:
        """Whether it was not there before."""
        return record_id not in self._before

    def drop(self, rows: Sequence[Row]) -> None:
        """They are gone."""
        for row in rows:
            del self._rows[row.id]
        for some in chunks(row.id for row in rows if row.id in self._before):
            self._session.connection().execute(delete(TABLE).where(among(self._session, TABLE.columns.id, some)))

    def __iter__(self) -> Iterator[Row]:
        """All of them."""
        return iter(list(self._rows.values()))

    def changed(self) -> list[Row]:
        """Those that are not as they were."""
        return [row for row in self._rows.values() if vars(row) != self._before.get(row.id)]

    def put(self, rows: Iterable[Row]) -> None:
        """Write them."""
        PUT(self._session.connection(), [self._written(row) for row in rows])

    def _written(self, row: Row) -> dict[str, Any]:
        before = self._before.get(row.id, BLANK)
        return vars(row) | {name: None for name in HEAVY if getattr(row, name) is before[name]}

    def _read(self, query: Select[Any]) -> UUID | None:
        last = None
        for values in self._session.connection().execute(query):
            before = dict(zip(NAMES, values, strict=True))
            last = before["id"]
            self._before[last], self._rows[last] = before, Row(**before)
        return last


def _reading() -> Select[Any]:
    """Only where there are cells does a state change what is searched by: from them to the content, or back."""
    content = case((col(RecordRow.cells).is_not(None), col(RecordRow.content)))
    return select(*(content if name == "content" else TABLE.columns[name] for name in NAMES))


def chunks(ids: Iterable[K]) -> Iterator[list[K]]:
    """Some at a time."""
    rest = iter(ids)
    while some := list(islice(rest, CHUNK)):
        yield some
