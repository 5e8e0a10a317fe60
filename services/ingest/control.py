"""Control: what people decide about batches and records. Every command is answered, a repeat with the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError
from sqlmodel import Session, col, select

from services.ingest.model import RowState, Step, corrected, raised
from services.ingest.progress import withdraw
from services.ingest.tables import Batch, Row, TakenCommand
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
from shared.contracts.facts import (
    AcceptedRecord,
    BatchAllowed,
    BatchPaused,
    BatchResumed,
    CommandRefused,
    CommandTaken,
    Fact,
    Problem,
    RecordsAccepted,
)
from shared.contracts.record import SectionState
from shared.db.engine import Database
from shared.ids import derived

REFUSALS = {
    "unknown-batch": "Questo invio massivo non esiste.",
    "unknown-record": "Questa riga non esiste.",
    "batch-cancelled": "L'invio massivo è stato interrotto: non si può più cambiare.",
    "batch-not-ready": "Il tracciato non è ancora stato letto: riprova tra qualche istante.",
    "generate-first": "Prima genera gli avvisi: il pulsante è «Genera avvisi PagoPA».",
    "orders-moved": "Nel frattempo la riga è cambiata: ricarica la pagina e ripeti.",
    "in-flight": "La riga è in lavorazione: attendi che sia ferma e ripeti.",
    "in-doubt": "Non si sa se il messaggio è partito: prima rispondi alla verifica.",
    "correction-invalid": "I valori corretti non sono validi: controllali.",
    "address-missing": "La riga non ha un indirizzo a cui rimandare l'avviso: scrivilo nella correzione.",
    "already-paid": "L'avviso risulta già pagato: non si può ritirare.",
}


class Refusal(Exception):
    """The command is not carried out; the text is the code."""

    def __init__(self, code: str, rows: Sequence[Problem] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.rows = list(rows)


def refused(command_id: UUID, batch_id: UUID, refusal: Refusal, message: str = "") -> CommandRefused:
    """The answer to a command that is not carried out."""
    return CommandRefused(
        command_id=command_id, batch_id=batch_id, code=refusal.code, message=message or REFUSALS[refusal.code],
        rows=refusal.rows,
    )  # fmt: skip


def answered(session: Session, command_id: UUID) -> CommandTaken | CommandRefused | None:
    """The answer that a command got, if it came before."""
    taken = session.get(TakenCommand, command_id)
    if taken is None:
        return None
    kind = CommandRefused if taken.refused else CommandTaken
    return kind.model_validate(taken.answer)


def keep(session: Session, answer: CommandTaken | CommandRefused, at: datetime) -> None:
    """Keep the answer, in the transaction that carries the command out."""
    session.add(
        TakenCommand(
            id=answer.command_id,
            answer=answer.model_dump(mode="json"),
            refused=isinstance(answer, CommandRefused),
            at=at,
        )
    )


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
            if (answer := answered(session, command.command_id)) is not None:
                return [answer]
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
                batch.cancelling = True
            case RetryRecords():
                batch.stated = ""
                return self._retry(session, command)
            case CorrectRecord():
                batch.stated = ""
                return self._correct(session, command, facts)
        return []

    def _open_batch(self, session: Session, command: BatchCommand) -> Batch:
        batch = session.get(Batch, command.batch_id, with_for_update=True)
        if batch is None:
            raise Refusal("unknown-batch")
        if not batch.ingested or batch.merging:
            raise Refusal("batch-not-ready")
        if batch.cancelled or (batch.cancelling and not isinstance(command, CancelBatch)):
            raise Refusal("batch-cancelled")
        return batch

    def _allow(self, batch: Batch, command: BatchCommand, facts: list[Fact]) -> None:
        if isinstance(command, SendNotices) and batch.until == Phase.PREVIEW.value:
            raise Refusal("generate-first")
        until, ranks = Phase.SEND if isinstance(command, SendNotices) else Phase.GENERATE, list(Phase)
        if ranks.index(until) > ranks.index(Phase(batch.until)):
            batch.until, batch.revision = until.value, batch.revision + 1
        facts.append(BatchAllowed(batch_id=batch.id, revision=batch.revision, until=Phase(batch.until)))

    def _retry(self, session: Session, command: RetryRecords) -> list[UUID]:
        query = select(Row).where(Row.batch_id == command.batch_id, Row.state == RowState.PARKED.value)
        if command.record_ids:
            query = query.where(col(Row.id).in_(command.record_ids))
        retried = []
        for row in session.exec(query.order_by(col(Row.id))):
            row.state, row.attempts, row.next_at, row.code = RowState.WAITING.value, 0, None, ""
            session.add(row)
            retried.append(row.id)
        return retried

    def _correct(self, session: Session, command: CorrectRecord, facts: list[Fact]) -> list[UUID]:
        row = session.get(Row, command.record_id, with_for_update=True)
        if row is None or row.record is None or row.batch_id != command.batch_id:
            raise Refusal("unknown-record")
        if command.orders != row.current_orders:
            raise Refusal("orders-moved")
        if row.state == RowState.ISSUED or row.errand:
            raise Refusal("in-flight")
        if row.state == RowState.UNCERTAIN:
            raise Refusal("in-doubt")
        before = row.whole
        try:
            after = corrected(before, command.correction)
        except ValidationError:
            raise Refusal("correction-invalid") from None
        if not row.begun:
            row.hold(after)
        else:
            self._anew(row, command)
        session.add(row)
        accepted = AcceptedRecord(record=row.whole, orders=row.current_orders, revision=row.revision)
        facts.append(RecordsAccepted(batch_id=row.batch_id, revision=row.revision, records=[accepted]))
        return [row.id]

    def _anew(self, row: Row, command: CorrectRecord) -> None:
        before, orders = row.whole, row.current_orders
        after = corrected(before, command.correction)
        if not after.delivery.address and after == before:
            raise Refusal("address-missing")
        fresh = raised(orders, before, after)
        row.revision += 1
        position = before.position
        open_position = position is not None and position.state is SectionState.DONE and position.order == orders.iuv
        if fresh.iuv > orders.iuv and open_position:
            row.correction = command.correction.model_dump(mode="json", exclude_none=True)
            withdraw(row)
            return
        row.hold(after)
        row.orders = fresh.model_dump()
        deep = fresh.iuv > orders.iuv
        row.phase = Phase.GENERATE.value if deep else row.phase
        row.step = (Step.IUV if deep else Step.PROTOCOL if fresh.protocol > orders.protocol else Step.DISPATCH).value
        row.state, row.attempts, row.next_at, row.code = RowState.READY.value, 0, None, ""
