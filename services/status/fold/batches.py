"""Facts about a batch, a command or a lane. Of two facts with a word about the same thing, the higher revision wins."""

from __future__ import annotations

from datetime import datetime

from services.status.fold.batch_state import MILESTONES
from services.status.fold.working import WorkingSet, kind_of
from services.status.model import PHASES
from services.status.tables import LaneRow
from shared.contracts import facts
from shared.contracts.base import Phase
from shared.contracts.envelope import Envelope
from shared.ids import record_id


def ingested(working: WorkingSet, fact: facts.BatchIngested, envelope: Envelope) -> None:
    """The batch's own data, and the rows that its spreadsheet no longer has."""
    batch = working.batch(fact.batch_id)
    if fact.revision > batch.ingested_revision:
        batch.ingested_revision = fact.revision
        batch.creditor, batch.payment_type = fact.creditor, fact.options.payment_type
        batch.file_name, batch.created_at = fact.file_name, fact.created_at
        batch.options = fact.options.model_dump(mode="json")
        batch.ingested = fact.model_dump(mode="json")
    for row in fact.removed_rows:
        working.remove(fact.batch_id, record_id(fact.batch_id, row), fact.revision)
    _allow(working, fact.until, fact)
    _enter(working, fact, envelope)


def allowed(working: WorkingSet, fact: facts.BatchAllowed, envelope: Envelope) -> None:
    """A phase was allowed."""
    _allow(working, fact.until, fact)
    _enter(working, fact, envelope)


def paused(working: WorkingSet, fact: facts.BatchPaused | facts.BatchResumed, envelope: Envelope) -> None:
    """Paused or resumed."""
    batch, is_paused = working.batch(fact.batch_id), isinstance(fact, facts.BatchPaused)
    if (fact.revision, is_paused) > (batch.paused_revision, batch.paused):
        batch.paused, batch.paused_revision = is_paused, fact.revision
    _enter(working, fact, envelope)


def cancelled(working: WorkingSet, fact: facts.BatchCancelled, envelope: Envelope) -> None:
    """Cancelled: for good, so no revision can undo it."""
    batch = working.batch(fact.batch_id)
    working.cancel(batch)
    standing = batch.cancelled_counts or {}
    if fact.revision > int(standing.get("revision", 0)):
        counts = fact.model_dump(include={"sent", "registered_not_sent", "withdrawn", "unanswered"})
        batch.cancelled_counts = counts | {"revision": fact.revision}
    _enter(working, fact, envelope)


def milestone(
    working: WorkingSet, fact: facts.BatchGenerated | facts.BatchSent | facts.BatchSettled, envelope: Envelope
) -> None:
    """How far the batch got."""
    batch, name = working.batch(fact.batch_id), type(fact).__name__.removeprefix("Batch").lower()
    standing = (batch.milestone_revision, MILESTONES.index(batch.milestone))
    if (fact.revision, MILESTONES.index(name)) > standing:
        batch.milestone, batch.milestone_revision = name, fact.revision
    _enter(working, fact, envelope)


def answered(working: WorkingSet, fact: facts.CommandTaken | facts.CommandRefused, envelope: Envelope) -> None:
    """An answer to a command. Taken beats refused: only a repeat can be refused after it was taken."""
    batch, command = working.batch(fact.batch_id), working.commands.get(fact.command_id)
    refused = fact if isinstance(fact, facts.CommandRefused) else None
    if command is not None and (command.answer == "" or (command.answer == "refused" and refused is None)):
        command.answer = "refused" if refused else "taken"
        command.answered_at = envelope.time
        command.code, command.message = (refused.code, refused.message) if refused else ("", "")
        command.rows = [row.model_dump(mode="json") for row in refused.rows] if refused else []
    if refused is not None and (command is None or command.kind == "request-batch"):
        rows = [row.model_dump(mode="json") for row in refused.rows]
        batch.refusal = {"code": refused.code, "message": refused.message, "rows": rows}
    code, detail = (refused.code, refused.message) if refused else ("", "")
    working.event(kind_of(type(fact)), envelope, batch, fact.command_id, code=code, detail=detail)


def lane(working: WorkingSet, fact: facts.LaneClosed | facts.LaneOpened, envelope: Envelope) -> None:
    """A lane closed or opened; the later wins."""
    row = working.session.get(LaneRow, (fact.stage.value, fact.lane)) or LaneRow(stage=fact.stage.value, lane=fact.lane)
    if isinstance(fact, facts.LaneClosed):
        if row.closed_since is None or (fact.since, fact.code) > (row.closed_since, row.code):
            row.closed_since, row.code = fact.since, fact.code
    else:
        row.opened_at = _latest(row.opened_at, envelope.time)
    working.session.add(row)
    working.touched.lanes = True


def _allow(working: WorkingSet, until: Phase, fact: facts.BatchFact) -> None:
    batch = working.batch(fact.batch_id)
    if (fact.revision, PHASES.index(until)) > (batch.until_revision, PHASES.index(Phase(batch.until))):
        batch.until, batch.until_revision = until.value, fact.revision


def _enter(working: WorkingSet, fact: facts.BatchFact, envelope: Envelope) -> None:
    working.event(kind_of(type(fact)), envelope, working.batch(fact.batch_id), fact.revision)


def _latest(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
