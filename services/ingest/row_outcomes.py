"""What may be known outside of rows and batches: no names, codes, addresses or amounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from services.ingest.model import RowState, Step, current
from services.ingest.tables import GENERATED, SENT, Batch, ClientRequest, Row
from shared.contracts.base import Phase, StageName
from shared.contracts.outcomes import BatchOutcome, BatchState, RecordOutcome, RecordState
from shared.contracts.record import Orders, Record, Section, SectionState, section_of

STOPPED = {
    RowState.REFUSED: RecordState.REFUSED,
    RowState.UNCERTAIN: RecordState.UNCERTAIN,
    RowState.PARKED: RecordState.PARKED,
    RowState.CANCELLED: RecordState.CANCELLED,
}
ENDS = {Phase.PREVIEW: ("", GENERATED, SENT), Phase.GENERATE: (GENERATED, SENT), Phase.SEND: (SENT,)}
"""How far a batch is that has done all that it may."""


def record_outcome(row: Row) -> RecordOutcome:
    """One record of another system."""
    record, orders = row.whole, row.current_orders
    position, registration, sending = record.position, record.registration, record.sending
    told = RecordOutcome(
        reference=record.reference,
        revision=row.news,
        state=record_state(row),
        code=row.code,
        detail=_detail(row, record),
    )
    if position and _done(position, orders.iuv):
        told = told.model_copy(update={"notice_code": position.notice_code, "iuv": position.iuv})
    if registration and _done(registration, orders.protocol):
        number = {"protocol_number": registration.number, "protocol_year": registration.year}
        told = told.model_copy(update={**number, "registered_at": registration.registered_at})
    if sending and _done(sending, orders.dispatch):
        told = told.model_copy(update={"channel": sending.channel, "sent_at": sending.sent_at})
    return told


def record_state(row: Row) -> RecordState:
    """Where a row stands, for who asked for it."""
    if stopped := STOPPED.get(RowState(row.state)):
        return stopped
    record, orders = row.whole, row.current_orders
    if _done(record.sending, orders.dispatch):
        return RecordState.SENT
    if row.state == RowState.FINISHED:
        return RecordState.BY_HAND
    if _done(record.registration, orders.protocol):
        return RecordState.REGISTERED
    return RecordState.GENERATED if _done(record.documents, orders.render) else RecordState.ACCEPTED


def batch_outcome(asked: ClientRequest, batch: Batch, rows: Iterable[Row]) -> BatchOutcome:
    """A whole batch of another system."""
    return BatchOutcome(
        request_id=asked.request_id,
        batch_id=batch.id,
        state=_batch_state(batch),
        until=Phase(batch.until),
        done=batch.cancelled or (not batch.paused and batch.stated in ENDS[Phase(batch.until)]),
        counts=dict(Counter(map(record_state, rows))),
    )


def _batch_state(batch: Batch) -> BatchState:
    if batch.cancelled:
        return BatchState.CANCELLED
    if batch.paused:
        return BatchState.PAUSED
    return BatchState(batch.stated) if batch.stated else BatchState.CHECKED


def _done(section: Section | None, order: int) -> bool:
    standing = current(section, order)
    return standing is not None and standing.state is SectionState.DONE


def _detail(row: Row, record: Record) -> str:
    """The sentence of the stage that said no."""
    if row.state not in (RowState.REFUSED, RowState.UNCERTAIN) or row.step == Step.NOTHING:
        return ""
    stage = StageName(row.step)
    section = current(section_of(record, stage), Orders.model_validate(row.orders).of(stage))
    return section.detail if section is not None else ""
