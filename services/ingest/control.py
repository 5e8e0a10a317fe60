"""Control: what people decide about batches and records. Every command is answered, a repeat with the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from services.ingest.correcting import correct, retry
from services.ingest.refusals import Refusal, answered, keep, refused
from services.ingest.restate import CHUNK, batch_facts
from services.ingest.row_facts import row_facts
from services.ingest.tables import Batch, Row
from shared.bus.outages import OUTAGES
from shared.contracts.base import Phase
from shared.contracts.commands import (
    BatchCommand,
    CancelBatch,
    CorrectRecord,
    GenerateNotices,
    PauseBatch,
    ResumeBatch,
    RetryRecords,
    SendNotices,
)
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchAllowed, BatchPaused, BatchResumed, CommandRefused, CommandTaken, Fact
from shared.db.engine import Database
from shared.db.locking import await_turn
from shared.ids import derived

log = structlog.get_logger()
STILL_TAKEN = (CancelBatch, RetryRecords)
"""What a cancelled batch still takes: a withdrawal may be parked."""


class Control:
    """Takes the control queue."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._publish = publish
        self._now = now

    def take(self, command: BatchCommand, causation: str = "") -> None:
        """One command, whole: one transaction, then its facts."""
        try:
            facts = self._taken(command)
        except Refusal as refusal:
            facts = [self._refused(command, refusal)]
        except OUTAGES:
            raise
        except Exception:
            log.exception("ingest.unexpected", command_id=str(command.command_id))
            facts = [self._refused(command, Refusal("unexpected"))]
        self._publish(
            [
                Envelope.of(
                    fact, source="ingest", correlation=command.batch_id, causation=causation,
                    id=derived(type(fact).__name__, command.command_id, number),
                )
                for number, fact in enumerate(facts)
            ]
        )  # fmt: skip

    def _taken(self, command: BatchCommand) -> list[Fact]:
        with self._database.write() as session:
            await_turn(session, f"ingest.command.{command.command_id}")  # delivered twice, it is carried out once
            if (answer := answered(session, command.command_id)) is not None:
                return [*_said_again(session, answer), answer]
            facts: list[Fact] = []
            records = self._carry_out(session, command, facts)
            taken = CommandTaken(command_id=command.command_id, batch_id=command.batch_id, record_ids=records)
            keep(session, taken, self._now())
            return [*facts, taken]

    def _refused(self, command: BatchCommand, refusal: Refusal) -> CommandRefused:
        answer = refused(command.command_id, command.batch_id, refusal)
        with self._database.write() as session:
            keep(session, answer, self._now())
        return answer

    def _carry_out(self, session: Session, command: BatchCommand, facts: list[Fact]) -> list[UUID]:
        batch = self._open_batch(session, command)
        session.add(batch)
        match command:
            case GenerateNotices() | SendNotices():
                self._allow(batch, command, facts)
            case PauseBatch() | ResumeBatch():
                batch.paused, batch.revision = isinstance(command, PauseBatch), batch.revision + 1
                kind = BatchPaused if batch.paused else BatchResumed
                facts.append(kind(batch_id=batch.id, revision=batch.revision))
            case CancelBatch():
                batch.cancelling, batch.stated = True, ""
            case RetryRecords():
                batch.stated = ""
                return retry(session, command, self._now())
            case CorrectRecord():
                batch.stated = ""
                facts.extend(correct(session, batch, command, self._now()))
                return [command.record_id]
        return []

    def _open_batch(self, session: Session, command: BatchCommand) -> Batch:
        batch = session.get(Batch, command.batch_id, with_for_update=True)
        if batch is None:
            raise Refusal("unknown-batch")
        if not batch.ingested or batch.merging:
            raise Refusal("batch-not-ready")
        if (batch.cancelled or batch.cancelling) and not isinstance(command, STILL_TAKEN):
            raise Refusal("batch-cancelled")
        return batch

    def _allow(self, batch: Batch, command: BatchCommand, facts: list[Fact]) -> None:
        if isinstance(command, SendNotices) and batch.until == Phase.PREVIEW.value:
            raise Refusal("generate-first")
        until, ranks = Phase.SEND if isinstance(command, SendNotices) else Phase.GENERATE, list(Phase)
        if ranks.index(until) > ranks.index(Phase(batch.until)):
            batch.until, batch.revision = until.value, batch.revision + 1
        facts.append(BatchAllowed(batch_id=batch.id, revision=batch.revision, until=Phase(batch.until)))


def _said_again(session: Session, answer: CommandTaken | CommandRefused) -> list[Fact]:
    """What a command led to, for a repeat may mean that only its answer was lost, or that all was."""
    batch = session.get(Batch, answer.batch_id)
    if batch is None or not batch.ingested or isinstance(answer, CommandRefused):
        return []
    rows = (
        session.exec(select(Row).where(col(Row.id).in_(answer.record_ids[:CHUNK]))).all() if answer.record_ids else []
    )
    return [*batch_facts(batch), *row_facts(rows, batch.revision)]
