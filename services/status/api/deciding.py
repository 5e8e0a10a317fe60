"""A person's decisions about batches and records, as commands. What is plainly out of order is refused here, in the
words of whoever clicked; the last word is ingest's, which knows more than the read model."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from uuid import UUID

import uuid6
from sqlmodel import Session, col, select

from services.status.api.asked import Correct, SettleVerdict
from services.status.api.asking import OPERATOR
from services.status.api.context import Context
from services.status.api.problems import ApiProblem, FieldProblem, conflict
from services.status.api.queries import batch_row, standing_of
from services.status.api.record_queries import actions_of, record_row
from services.status.fold.batch_state import BatchState, batch_state_of
from services.status.model import State, TroubleKind
from services.status.tables import KeptCommand, RecordRow
from shared.contracts.base import Phase, StageName
from shared.contracts.commands import (
    BatchCommand,
    CancelBatch,
    CorrectRecord,
    GenerateNotices,
    PauseBatch,
    Restate,
    ResumeBatch,
    RetryRecords,
    SendNotices,
    Settle,
    SettleRegistration,
    SettleSending,
)


class Decision(StrEnum):
    """What can be decided about a batch as a whole."""

    GENERATE = "generate"
    SEND = "send"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


COMMANDS: dict[Decision, type[BatchCommand]] = {
    Decision.GENERATE: GenerateNotices,
    Decision.SEND: SendNotices,
    Decision.PAUSE: PauseBatch,
    Decision.RESUME: ResumeBatch,
    Decision.CANCEL: CancelBatch,
}


def objection(decision: Decision, state: BatchState, until: Phase) -> str:
    """Why the decision makes no sense now, for the one who would take it; empty where it does."""
    if state is BatchState.PENDING:
        return "Il foglio non è ancora stato letto: attendere qualche secondo."
    if state is BatchState.REFUSED:
        return "Il foglio è stato rifiutato: caricarne uno corretto."
    if state is BatchState.CANCELLED:
        return "Questo invio è stato interrotto: cominciarne uno nuovo."
    if decision is Decision.SEND and until is Phase.PREVIEW:
        return "Prima si generano gli avvisi PagoPA."
    if decision is Decision.RESUME and state is not BatchState.PAUSED:
        return "Questo invio non è in pausa."
    return ""


def decide(context: Context, batch_id: UUID, decision: Decision, key: str = "") -> KeptCommand:
    """Keep and publish a decision about a batch. Raises 404, 409."""

    def check(session: Session) -> None:
        row = batch_row(session, batch_id)
        why = objection(decision, batch_state_of(standing_of(row)), Phase(row.until))
        if why:
            raise conflict("out-of-order", why)

    command = COMMANDS[decision](command_id=_new(), batch_id=batch_id, by=OPERATOR)
    return context.desk.submit(command, key=key, about=batch_id, before=check)


def restate(context: Context, batch_ids: list[UUID] | None, key: str = "") -> KeptCommand:
    """Ask every service to state again what it knows."""
    return context.desk.submit(Restate(request_id=_new(), batch_ids=batch_ids), key=key)


def retry(context: Context, record_id: UUID, key: str = "") -> KeptCommand:
    """Issue one parked record again. Raises 404, 409."""
    command = RetryRecords(
        command_id=_new(), batch_id=_batch_of(context, record_id), by=OPERATOR, record_ids=[record_id]
    )
    before = _allows(record_id, "retry", "Questo avviso non è fermo: non c'è nulla da riprovare.")
    return context.desk.submit(command, key=key, about=record_id, before=before)


def retry_group(context: Context, batch_id: UUID, stage: str, code: str, key: str = "") -> KeptCommand:
    """Issue again all records of a batch that are parked for one cause (all causes: empty `code`). Raises 404, 409."""
    if (done := context.desk.again(key)) is not None:
        return done  # asked twice: by now nothing is parked
    with context.database.read() as session:
        batch_row(session, batch_id)
        parked = select(RecordRow.id).where(
            RecordRow.batch_id == batch_id,
            RecordRow.state == State.STUCK.value,
            RecordRow.trouble == TroubleKind.PARKED.value,
        )
        if code:
            parked = parked.where(RecordRow.stage == stage, RecordRow.code == code)
        ids = list(session.exec(parked.order_by(col(RecordRow.row))))
    if not ids:
        raise conflict("nothing-parked", "Non c'è più nulla di fermo per questa causa.")
    command = RetryRecords(command_id=_new(), batch_id=batch_id, by=OPERATOR, record_ids=ids)
    return context.desk.submit(command, key=key, about=batch_id)


def correct(context: Context, record_id: UUID, wanted: Correct, key: str = "") -> KeptCommand:
    """Do a record anew with corrected values. Raises 404, 409."""
    command = CorrectRecord(
        command_id=_new(), batch_id=_batch_of(context, record_id), by=OPERATOR, record_id=record_id,
        orders=wanted.orders, correction=wanted.correction,
    )  # fmt: skip
    before = _allows(record_id, "correct", "Questo avviso ora non si può correggere da qui.")
    return context.desk.submit(command, key=key, about=record_id, before=before)


def settle(context: Context, record_id: UUID, verdict: SettleVerdict, key: str = "") -> KeptCommand:
    """A verdict on what is uncertain. Raises 404, 409, 422."""
    registration = verdict.stage is StageName.PROTOCOL
    if registration and verdict.verdict == "done" and not (verdict.number and verdict.year):
        raise _wrong("number", "missing", "Servono numero e anno della registrazione trovata.")
    said = {
        "command_id": _new(), "batch_id": _batch_of(context, record_id), "record_id": record_id, "by": OPERATOR,
        "order": verdict.order, "verdict": verdict.verdict,
    }  # fmt: skip
    command: Settle = (
        SettleRegistration.model_validate(said | {"number": verdict.number, "year": verdict.year})
        if registration
        else SettleSending.model_validate(said)
    )
    before = _allows(record_id, "settle", "Per questo avviso non c'è nulla da verificare.")
    return context.desk.submit(command, key=key, about=record_id, before=before)


def _batch_of(context: Context, record_id: UUID) -> UUID:
    with context.database.read() as session:
        return record_row(session, record_id).batch_id


def _allows(record_id: UUID, action: str, otherwise: str) -> Callable[[Session], None]:
    def check(session: Session) -> None:
        if action not in actions_of(record_row(session, record_id)):
            raise conflict("out-of-order", otherwise)

    return check


def _wrong(field: str, code: str, detail: str) -> ApiProblem:
    return ApiProblem(422, "invalid-request", detail, [FieldProblem(field=field, code=code, detail=detail)])


def _new() -> UUID:
    return UUID(str(uuid6.uuid7()))
