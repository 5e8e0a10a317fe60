"""Rows in hand: locked together, changed, and written back together.

A handful of facts changes dozens of rows, four times each until a record is sent. The ORM's book-keeping would cost more than
the folding does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ARRAY, ColumnElement, Select, Text, Uuid, any_, bindparam, cast, update
from sqlalchemy import select as sql_select
from sqlalchemy.types import UserDefinedType
from sqlmodel import Session, col

from services.ingest.model import RowState
from services.ingest.tables import SCHEMA, Base, Row
from shared.contracts.record import Orders, Record
from shared.db.recordset import ROWS, recordset


class JsonText(UserDefinedType[str]):
    """JSON that is written already."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The column's own type."""
        return "JSON"


@dataclass(slots=True)
class InHand:
    """A row that is no rejected one, by the names of `Row`; `record` is its JSON."""

    id: UUID
    batch_id: UUID
    warnings: list[dict[str, Any]]
    record: str
    creditor: str
    channel: str
    state: str
    phase: str
    step: str
    revision: int
    issue: int
    attempts: int
    next_at: datetime | None
    issued_at: datetime | None
    overdue_at: int
    code: str
    orders: dict[str, Any]
    correction: dict[str, Any] | None
    errand: str
    preview: str
    previewed: dict[str, Any] | None
    news: int
    _whole: Record | None = field(default=None, init=False)

    @property
    def whole(self) -> Record:
        """The record."""
        if self._whole is None:
            self._whole = Record.model_validate_json(self.record)
        return self._whole

    @property
    def current_orders(self) -> Orders:
        """The orders that stand."""
        return Orders.model_validate(self.orders)

    def hold(self, record: Record) -> None:
        """Take `record`, and what is derived from it."""
        self._whole, self.record = record, record.model_dump_json(exclude_none=True)
        self.creditor, self.channel = record.creditor, record.delivery.channel.value


AnyRow = Row | InHand
_TABLE = Base.metadata.tables[f"{SCHEMA}.row"]
_COLUMNS = {column.name: column for column in _TABLE.columns}
_CHANGING = tuple(each.name for each in fields(InHand) if each.init)[3:]
_changing = attrgetter(*_CHANGING)
_TYPES = {name: _COLUMNS[name].type for name in _CHANGING} | {"record": JsonText()}
_ONE_BY_ONE = (
    update(Row)
    .where(col(Row.id) == bindparam("its_id", type_=Uuid()))
    .values({name: bindparam(f"its_{name}", type_=kind) for name, kind in _TYPES.items()})
)
_NEW = recordset(_TABLE, ["id", *_CHANGING])
_TOGETHER = update(Row).where(col(Row.id) == _NEW.c.id).values({name: _NEW.c[name] for name in _CHANGING})


def _take(mine: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    read = (_COLUMNS["id"], _COLUMNS["batch_id"], _COLUMNS["warnings"], cast(_COLUMNS["record"], Text))
    query = sql_select(*read, *(_COLUMNS[name] for name in _CHANGING[1:]))
    return query.where(mine, col(Row.state) != RowState.REJECTED.value).order_by(col(Row.id)).with_for_update()


_TAKE = {
    # one statement, however many they are, so that it is prepared once
    "postgresql": _take(col(Row.id) == any_(bindparam("ids", type_=ARRAY(Uuid())))),
    "sqlite": _take(col(Row.id).in_(bindparam("ids", expanding=True))),
}


class Hand:
    """These of the rows that are there, locked in the order of their ids until the session's transaction ends."""

    def __init__(self, session: Session, ids: Collection[UUID]) -> None:
        self._session = session
        connection = session.connection()
        found = connection.execute(_TAKE[connection.dialect.name], {"ids": sorted(ids)}) if ids else ()
        self.rows = {row.id: row for row in (InHand(*line) for line in found)}
        self._before = {row.id: _changing(row) for row in self.rows.values()}

    def put_back(self) -> None:
        """Write what changed, and count it up where somebody outside hears of it."""
        changed = [row for row in self.rows.values() if _changing(row) != self._before[row.id]]
        for row in changed:
            row.news += row.news > 0
        connection = self._session.connection()
        if changed and connection.dialect.name == "postgresql":
            connection.execute(_TOGETHER, {ROWS: f"[{','.join(map(_as_json, changed))}]"})
        elif changed:
            names = ("its_id", *(f"its_{name}" for name in _CHANGING))
            values = [dict(zip(names, (row.id, *_changing(row)), strict=True)) for row in changed]
            connection.execute(_ONE_BY_ONE, values)


def _as_json(row: InHand) -> str:
    """All that changes; the record is JSON already."""
    others = dict(zip(_CHANGING[1:], _changing(row)[1:], strict=True))
    return f'{to_json({"id": row.id, **others}).decode()[:-1]},"record":{row.record}}}'
