"""The rows that a handful of facts is about: loaded in bulk, changed in memory, written back once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import delete, insert
from sqlmodel import Session, SQLModel, col, select

from services.status.fold.derive import derive
from services.status.fold.removing import Removals
from services.status.tables import BatchRow, KeptCommand, ProblemRow, RecordRow, RemovedRow, TimelineRow
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Problem
from shared.contracts.record import Record
from shared.ids import derived

CHUNK = 500
"""Ids per query: below every database's limit of parameters."""

EMPTY = {"stage": "", "order": 0, "issue": 0, "revision": 0, "code": "", "detail": "", "until": None}
"""A timeline entry of a fact that says no more than that it happened. Plain rows: the mapper would cost more than all
the rest."""

T = TypeVar("T", bound=SQLModel)
K = TypeVar("K")


@dataclass(slots=True)
class Touched:
    """What a handful changed, to tell those who look on: records by batch (none where only the batch changed)."""

    changes: dict[UUID, set[UUID]] = field(default_factory=dict)
    lanes: bool = False
    unreadable: int = 0


class WorkingSet:
    """Rows by id. A row that is asked for and not there is begun: facts may overtake those that they build on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.commands: dict[UUID, KeptCommand] = {}
        self._batches: dict[UUID, BatchRow] = {}
        self._rows: dict[UUID, RecordRow] = {}
        self._parsed: dict[UUID, Record] = {}
        self._problems: dict[UUID, list[dict[str, Any]]] = {}
        self._timeline: dict[UUID, dict[str, Any]] = {}
        self._newly_cancelled: set[UUID] = set()
        self._removals = Removals(session)
        self.touched = Touched()

    def load(self, batch_ids: Collection[UUID], record_ids: Collection[UUID], command_ids: Collection[UUID]) -> None:
        """Load what is there."""
        self._batches = {row.id: row for row in self._all(BatchRow, BatchRow.id, batch_ids)}
        self._rows = {row.id: row for row in self._all(RecordRow, RecordRow.id, record_ids)}
        self.commands = {row.id: row for row in self._all(KeptCommand, KeptCommand.id, command_ids)}
        self._removals = Removals(self.session, self._all(RemovedRow, RemovedRow.record_id, record_ids))

    def batch(self, batch_id: UUID) -> BatchRow:
        """The batch's row, touched."""
        self.touched.changes.setdefault(batch_id, set())
        if batch_id not in self._batches:
            self._batches[batch_id] = BatchRow(id=batch_id)
            self.session.add(self._batches[batch_id])
        return self._batches[batch_id]

    def row(self, record_id: UUID, batch_id: UUID) -> RecordRow:
        """The record's row, touched (and its batch with it)."""
        self.batch(batch_id)
        self.touched.changes[batch_id].add(record_id)
        if record_id not in self._rows:
            self._rows[record_id] = RecordRow(id=record_id, batch_id=batch_id)
            self.session.add(self._rows[record_id])
        return self._rows[record_id]

    def record(self, row: RecordRow) -> Record | None:
        """The record as parsed."""
        if row.id not in self._parsed and row.record is not None:
            self._parsed[row.id] = Record.model_validate(row.record)
        return self._parsed.get(row.id)

    def keep(self, row: RecordRow, record: Record) -> None:
        """Put `record` on its row."""
        self._parsed[row.id] = record
        row.record = record.model_dump(mode="json", exclude_none=True)

    def problems(self, row: RecordRow, revision: int, problems: Iterable[Problem]) -> None:
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
            self.batch(batch_id)
            self.touched.changes[batch_id].add(record_id)

    def event(self, kind: str, envelope: Envelope, about: RecordRow | BatchRow, *parts: object, **said: Any) -> None:
        """Enter a fact in the timeline. `parts` tell it from the others of its kind about the same record or batch."""
        record_id, batch_id = (about.id, about.batch_id) if isinstance(about, RecordRow) else (None, about.id)
        entry_id = derived("timeline", about.id, kind, *parts)
        entry = EMPTY | {"id": entry_id, "batch_id": batch_id, "record_id": record_id, "kind": kind}
        entry |= {"at": envelope.time, "restated": envelope.restated} | said
        standing = self._timeline.get(entry_id)
        if standing is None or _truth(entry) < _truth(standing):
            self._timeline[entry_id] = entry

    def flush(self) -> Touched:
        """Derive what is searched by, and write everything."""
        for row in [row for row in self._rows.values() if self._removals.takes(row)]:
            self._drop(row)
        for record_ids in self.touched.changes.values():
            for record_id in record_ids & self._rows.keys():
                self._derive(self._rows[record_id])
        self.session.flush()
        for batch_id in self._newly_cancelled:
            self._derive_all(batch_id)
        self._flush_problems()
        self._flush_timeline()
        return self.touched

    def _derive(self, row: RecordRow) -> None:
        derive(row, self.record(row), cancelled=self._batches[row.batch_id].cancelled)

    def _drop(self, row: RecordRow) -> None:
        del self._rows[row.id]
        self._problems[row.id] = []
        if row in self.session.new:
            self.session.expunge(row)
        else:
            self.session.delete(row)

    def _derive_all(self, batch_id: UUID) -> None:
        rows = self.session.exec(
            select(RecordRow).where(RecordRow.batch_id == batch_id).execution_options(yield_per=CHUNK)
        )
        for row in rows:
            self._derive(row)
        self.session.flush()

    def _flush_problems(self) -> None:
        for some in _chunks(self._problems):
            self.session.execute(delete(ProblemRow).where(col(ProblemRow.record_id).in_(some)))
        self._insert(ProblemRow, [row for rows in self._problems.values() for row in rows])

    def _flush_timeline(self) -> None:
        self._removals.clear_timeline()
        self._timeline = {key: entry for key, entry in self._timeline.items() if not self._removals.takes_entry(entry)}
        standing = {row.id: row for row in self._all(TimelineRow, TimelineRow.id, self._timeline)}
        for entry_id, row in standing.items():
            entry = self._timeline.pop(entry_id)
            if _truth(entry) < (row.restated, row.at):
                row.at, row.restated = entry["at"], entry["restated"]
        self._insert(TimelineRow, list(self._timeline.values()))

    def _insert(self, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
        """Insert what nobody will change in this session, past the unit of work."""
        if rows:
            self.session.execute(insert(table), rows)

    def _all(self, table: type[T], key: Any, ids: Collection[UUID]) -> Iterator[T]:
        for some in _chunks(ids):
            yield from self.session.exec(select(table).where(col(key).in_(some)))


def _truth(entry: dict[str, Any]) -> tuple[bool, datetime]:
    """The lower tells more truly when it happened: first-hand before restated, then the earlier one."""
    return entry["restated"], entry["at"]


def _plain(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("row", "column", "code", "message", "warning", "proposal")}


def _chunks(ids: Iterable[K]) -> Iterator[list[K]]:
    rest = iter(ids)
    while some := list(islice(rest, CHUNK)):
        yield some
