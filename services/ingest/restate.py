"""Ingest states again what it knows: batches, rows, what is parked. It never acts."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlmodel import Session, col, select

from services.ingest.model import RowState
from services.ingest.progress import parked, stage_of
from services.ingest.tables import Batch, Row
from shared.contracts.base import Phase
from shared.contracts.facts import (
    AcceptedRecord,
    BatchAllowed,
    BatchCancelled,
    BatchIngested,
    BatchPaused,
    Fact,
    Problem,
    RecordsAccepted,
    RecordsRejected,
    RejectedRow,
)
from shared.db.engine import Database

CHUNK = 200


def restated(database: Database, batch_ids: list[UUID] | None) -> Iterator[list[Fact]]:
    """The facts of the batches (`None`: all), in chunks that fit a message."""
    with database.read() as session:
        query = select(Batch.id).where(Batch.ingested).order_by(col(Batch.created_at))
        ids = [each for each in session.exec(query) if batch_ids is None or each in batch_ids]
    for batch_id in ids:
        with database.read() as session:
            batch = session.get(Batch, batch_id)
        if batch is not None:
            yield batch_facts(batch)
            for rows in pages(database, batch_id):
                yield row_facts(batch, rows)


def batch_facts(batch: Batch) -> list[Fact]:
    """What is known of the batch as a whole."""
    allowed = BatchAllowed(batch_id=batch.id, revision=batch.revision, until=Phase(batch.until))
    said: list[Fact] = [ingested_fact(batch), allowed]
    if batch.paused:
        said.append(BatchPaused(batch_id=batch.id, revision=batch.revision))
    if batch.cancelled:
        said.append(BatchCancelled(batch_id=batch.id, revision=batch.revision))
    return said


def ingested_fact(batch: Batch) -> BatchIngested:
    """The reading of the batch's spreadsheet."""
    return BatchIngested.model_validate(
        {
            **batch.reading,
            "batch_id": batch.id,
            "revision": batch.revision,
            "client": batch.client,
            "request_id": batch.request_id,
            "by": batch.by,
            "creditor": batch.creditor,
            "options": batch.options,
            "sheet": batch.sheet,
            "file_name": batch.file_name,
            "until": batch.until,
            "created_at": batch.created_at,
        }
    )


def row_facts(batch: Batch, rows: list[Row]) -> list[Fact]:
    """One chunk of rows: accepted, rejected, and which of them are parked."""
    accepted = [accepted_record(row) for row in rows if row.record is not None]
    rejected = [rejected_row(row) for row in rows if row.record is None]
    said: list[Fact] = []
    if accepted:
        said.append(RecordsAccepted(batch_id=batch.id, revision=batch.revision, records=accepted))
    if rejected:
        said.append(RecordsRejected(batch_id=batch.id, revision=batch.revision, rows=rejected))
    return said + [parked(row, stage_of(row)) for row in rows if row.state == RowState.PARKED]


def accepted_record(row: Row) -> AcceptedRecord:
    """A row that can go on, as ingest holds it."""
    warnings = [Problem.model_validate(warning) for warning in row.warnings]
    return AcceptedRecord(record=row.whole, orders=row.current_orders, warnings=warnings, revision=row.revision)


def rejected_row(row: Row) -> RejectedRow:
    """A row that must be corrected."""
    problems = [Problem.model_validate(problem) for problem in row.problems]
    return RejectedRow(record_id=row.id, row=row.number, cells=row.cells, problems=problems, revision=row.revision)


def pages(database: Database, batch_id: UUID) -> Iterator[list[Row]]:
    """The rows of a batch in the spreadsheet's order."""
    last = 0
    while True:
        with database.read() as session:
            rows = list(_page(session, batch_id, last))
        if not rows:
            return
        yield rows
        last = rows[-1].number


def _page(session: Session, batch_id: UUID, after: int) -> Iterator[Row]:
    query = select(Row).where(Row.batch_id == batch_id, Row.number > after).order_by(col(Row.number)).limit(CHUNK)
    yield from session.exec(query)
