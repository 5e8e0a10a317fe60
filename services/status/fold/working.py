"""What a handful of facts is about: loaded in bulk, changed in memory, written back once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import delete, insert
from sqlmodel import Session, SQLModel, select

from services.status.fold.derive import derive
from services.status.fold.removing import Removals
from services.status.fold.rows import Row, Rows, chunks
from services.status.fold.timeline import Timeline
from services.status.tables import BatchRow, KeptCommand, ProblemRow, RemovedRow, table_of
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Problem
from shared.contracts.registry import kebab
from shared.db.among import among

T = TypeVar("T", bound=SQLModel)


@dataclass(slots=True)
class About:
    """The ids of what a handful is about. `rows`: records of which ingest speaks, as rows of a spreadsheet."""

    batches: set[UUID] = field(default_factory=set)
    records: set[UUID] = field(default_factory=set)
    rows: set[UUID] = field(default_factory=set)
    commands: set[UUID] = field(default_factory=set)


@dataclass(slots=True)
class Touched:
    """What a handful changed, to tell those who look on: records by batch (none where only the batch changed)."""

    changes: dict[UUID, set[UUID]] = field(default_factory=dict)
    lanes: bool = False
    unreadable: int = 0


class WorkingSet:
    """Batches, records and commands by id. What is asked for and not there is begun."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.commands: dict[UUID, KeptCommand] = {}
        self._batches: dict[UUID, BatchRow] = {}
        self._rows = Rows(session)
        self._problems: dict[UUID, list[dict[str, Any]]] = {}
        self._timeline = Timeline(session)
        self._newly_cancelled: set[UUID] = set()
        self._changed: set[UUID] = set()
        self._removals = Removals(session)
        self.touched = Touched()

    def load(self, about: About) -> None:
        """Load what is there. Only ingest speaks of what may have been taken out."""
        self._batches = {row.id: row for row in self._all(BatchRow, "id", about.batches)}
        self._rows.load(about.records)
        self.commands = {row.id: row for row in self._all(KeptCommand, "id", about.commands)}
        self._removals = Removals(self.session, self._all(RemovedRow, "record_id", about.rows))

    def batch(self, batch_id: UUID) -> BatchRow:
        """The batch's row, touched."""
        self.touched.changes.setdefault(batch_id, set())
        return self._batch(batch_id)

    def row(self, record_id: UUID, batch_id: UUID) -> Row:
        """The record's row."""
        self._batch(batch_id)
        return self._rows.row(record_id, batch_id)

    def problems(self, row: Row, revision: int, problems: Iterable[Problem]) -> None:
        """Replace the row's problems."""
        about = {"record_id": row.id, "batch_id": row.batch_id, "revision": revision}
        self._problems[row.id] = [
            about | {"position": position} | _plain(problem) for position, problem in enumerate(problems)
        ]

    def cancel(self, batch: BatchRow) -> None:
        """The batch was cancelled: every record's state is looked at again."""
        if not batch.cancelled:
            self._newly_cancelled.add(batch.id)
        batch.cancelled = True

    def remove(self, batch_id: UUID, record_id: UUID, revision: int) -> None:
        """The row was taken out of the spreadsheet: what ingest said of it below `revision` is void."""
        if self._removals.add(record_id, revision):
            self._touch(batch_id, record_id)

    def event(self, kind: str, envelope: Envelope, about: Row | BatchRow, *parts: object, **said: Any) -> None:
        """Enter a fact in the timeline. `parts` tell it from the others of its kind about the same record or batch."""
        record_id, batch_id = (None, about.id) if isinstance(about, BatchRow) else (about.id, about.batch_id)
        self._timeline.enter(kind, envelope, batch_id, record_id, parts, said)

    def flush(self) -> Touched:
        """Derive what is searched by, and write everything."""
        gone = [row for row in self._rows if self._removals.takes(row)]
        self._rows.drop(gone)
        self._problems |= {row.id: [] for row in gone}
        self._put(self._rows)
        self.session.flush()
        for batch_id in self._newly_cancelled:
            self._put_all(batch_id)
        self._put_problems()
        self._removals.clear_timeline()
        for entry in self._timeline.put(self._removals.takes_entry, self._changed):
            self._touch(entry["batch_id"], entry["record_id"])
        return self.touched

    def _batch(self, batch_id: UUID) -> BatchRow:
        if batch_id not in self._batches:
            self._batches[batch_id] = BatchRow(id=batch_id)
            self.session.add(self._batches[batch_id])
        return self._batches[batch_id]

    def _put(self, rows: Rows) -> None:
        for row in rows.changed():
            derive(row, cancelled=self._batch(row.batch_id).cancelled)
            self._touch(row.batch_id, row.id)
            self._changed.add(row.id)
        rows.put(rows.changed())

    def _put_all(self, batch_id: UUID) -> None:
        after: UUID | None = None
        while True:
            rows = Rows(self.session)
            after = rows.load_batch(batch_id, after)
            if after is None:
                return
            for row in rows:
                derive(row, cancelled=True)
            rows.put(rows.changed())

    def _put_problems(self) -> None:
        stale = (record_id for record_id in self._problems if not self._rows.is_new(record_id))
        for some in chunks(stale):
            self.session.execute(
                delete(ProblemRow).where(among(self.session, table_of(ProblemRow).columns.record_id, some))
            )
        if rows := [row for rows in self._problems.values() for row in rows]:
            self.session.execute(insert(ProblemRow), rows)

    def _touch(self, batch_id: UUID, record_id: UUID | None) -> None:
        changed = self.touched.changes.setdefault(batch_id, set())
        if record_id is not None:
            changed.add(record_id)

    def _all(self, table: type[T], key: str, ids: Collection[UUID]) -> Iterator[T]:
        for some in chunks(ids):
            yield from self.session.exec(select(table).where(among(self.session, table_of(table).columns[key], some)))


@cache
def kind_of(fact: type[Message]) -> str:
    """A fact's name on the wire, which is what the timeline knows it by."""
    return kebab(fact.__name__)


def _plain(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("row", "column", "code", "message", "warning", "proposal")}
