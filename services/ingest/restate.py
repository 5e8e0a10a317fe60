"""Ingest states again what it knows: batches, rows, what is parked. It never acts."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlmodel import Session, col, select

from services.ingest.refusals import answer_of
from services.ingest.row_facts import previews, row_facts
from services.ingest.tables import GENERATED, SENT, Batch, Row, TakenCommand
from shared.contracts.base import Phase
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    BatchAllowed,
    BatchCancelled,
    BatchGenerated,
    BatchIngested,
    BatchPaused,
    BatchResumed,
    BatchSent,
    BatchSettled,
    Fact,
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
                yield [*row_facts(rows, batch.revision), *previews(rows)]


def told_again(database: Database, batch_ids: list[UUID] | None) -> Iterator[list[Envelope]]:
    """The same as old facts on their way, with the answers to people's commands."""
    for facts in restated(database, batch_ids):
        yield [
            Envelope.of(fact, source="ingest", correlation=getattr(fact, "batch_id", ""), restated=True)
            for fact in facts
        ]
    with database.read() as session:
        for taken in session.exec(select(TakenCommand).order_by(col(TakenCommand.at))).yield_per(CHUNK).partitions():
            told = [(answer_of(each), each.at) for each in taken]
            yield [
                Envelope.of(answer, source="ingest", correlation=answer.batch_id, restated=True, time=at)
                for answer, at in told
                if batch_ids is None or answer.batch_id in batch_ids
            ]


def batch_facts(batch: Batch) -> list[Fact]:
    """What is known of the batch as a whole."""
    about = {"batch_id": batch.id, "revision": batch.revision}
    said: list[Fact] = [
        ingested_fact(batch),
        BatchAllowed.model_validate({**about, "until": Phase(batch.until)}),
        (BatchPaused if batch.paused else BatchResumed).model_validate(about),
    ]
    if batch.stated in (GENERATED, SENT) and not batch.cancelled:
        said.append(BatchGenerated.model_validate(about))
    if batch.stated == SENT and not batch.cancelled:
        said += [BatchSent.model_validate(about), BatchSettled.model_validate(about)]
    if batch.cancelled:
        said.append(BatchCancelled.model_validate({**batch.cancelled_counts, **about}))
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
