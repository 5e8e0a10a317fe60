"""What the stages' facts do to ingest's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from services.ingest.model import (
    RETRY_WAITS,
    SETTLED_NOT_REGISTERED,
    SETTLED_NOT_SENT,
    RowState,
    Step,
    corrected,
    current,
    raised,
    standing,
)
from services.ingest.pace import Pace, lane_of
from services.ingest.tables import Row
from shared.contracts.base import StageName
from shared.contracts.commands import Correction, Message
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    Fact,
    PreviewRendered,
    RecordFact,
    RecordParked,
    StageDeferred,
    StageFact,
    StageFailed,
)
from shared.contracts.record import Orders, Record, SectionState, section_of, with_section
from shared.db.engine import Database
from shared.ids import derived

ALREADY_PAID = "already-paid"


class Progress:
    """Folds the facts of a handful into the rows, in one transaction."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], pace: Pace, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._publish = publish
        self._pace = pace
        self._now = now

    def take(self, messages: Sequence[Message]) -> None:
        """The messages of the facts queue. Those about unknown records are somebody else's, or not ours yet."""
        about = {record_id for message in messages if (record_id := _record_id(message)) is not None}
        said: list[Fact] = []
        with self._database.write() as session:
            rows = _rows(session, about)
            for message in messages:
                row = rows.get(_record_id(message) or UUID(int=0))
                if row is None or row.record is None:
                    continue
                said += self._one(row, message)
                session.add(row)
        if said:
            self._publish([_envelope(fact) for fact in said])

    def _one(self, row: Row, message: Message) -> list[Fact]:
        match message:
            case RecordFact():
                self._section(row, message)
            case StageFailed():
                return self._failed(row, message)
            case StageDeferred() if row.state == RowState.ISSUED and message.issue == row.issue:
                row.state, row.next_at, row.code = RowState.WAITING.value, message.until, message.code
            case PreviewRendered():
                row.preview = "done"
                row.previewed = message.model_dump(mode="json", include={"letter", "code", "detail"}, exclude_none=True)
        return []

    def _section(self, row: Row, fact: RecordFact) -> None:
        stage = StageName(fact.owner)
        section = section_of(fact.record, stage)
        if section is None:
            return
        self._pace.answered(lane_of(row, stage))
        record, orders = with_section(row.whole, stage, section), row.current_orders
        now_current = current(section_of(record, stage), orders.of(stage))
        if now_current is not None and now_current.code in (SETTLED_NOT_SENT, SETTLED_NOT_REGISTERED):
            orders = anew(orders, stage)
        withdrawn = record.position is not None and record.position.state is SectionState.WITHDRAWN
        if row.errand and withdrawn:
            row.errand = ""
            if row.correction is not None:
                before, record = record, corrected(record, Correction.model_validate(row.correction))
                orders, row.correction = raised(orders, before, record), None
        self._stand(row, record, orders)

    def _stand(self, row: Row, record: Record, orders: Orders) -> None:
        """Put the row where its sections say it is."""
        now = standing(record, orders)
        advanced = now.step.value != row.step or orders != row.current_orders
        row.hold(record)
        row.orders, row.step = orders.model_dump(), now.step.value
        if now.state is not RowState.READY:
            row.state, row.code, row.next_at = now.state.value, now.code, None
            row.phase = now.phase.value
            refused_after_opening = now.step is Step.RENDER and now.state is RowState.REFUSED
            if refused_after_opening and record.position is not None and record.position.state is SectionState.DONE:
                withdraw(row)
            return
        if now.phase.value != row.phase:
            row.phase, row.state, row.attempts = now.phase.value, RowState.READY.value, 0
        elif advanced and row.state != RowState.ISSUED:
            row.state = RowState.READY.value
        if advanced:
            row.code, row.next_at = "", None

    def _failed(self, row: Row, fact: StageFailed) -> list[Fact]:
        if row.state != RowState.ISSUED or fact.issue != row.issue:
            return []
        if row.errand and fact.code == ALREADY_PAID:  # it stands as it was, and no correction can replace it
            row.errand, row.correction, row.state = "", None, RowState.READY.value
            self._stand(row, row.whole, row.current_orders)
            row.code = ALREADY_PAID
            return []
        row.attempts += 1
        row.code = fact.code
        if fact.permanent or row.attempts > len(RETRY_WAITS):
            row.state, row.next_at = RowState.PARKED.value, None
            return [parked(row, fact.stage)]
        row.state, row.next_at = RowState.WAITING.value, self._now() + RETRY_WAITS[row.attempts - 1]
        return []


def withdraw(row: Row) -> None:
    """Issue the withdrawal of the row's position."""
    row.errand, row.state, row.attempts, row.next_at = "withdraw", RowState.WAITING.value, 0, None


def anew(orders: Orders, stage: StageName) -> Orders:
    """A person says it did not happen: this stage, and dispatch whose input changes with it, do the record anew."""
    raised_stages = {stage, StageName.DISPATCH}
    return orders.model_copy(update={each.value: orders.of(each) + 1 for each in raised_stages})


def parked(row: Row, stage: StageName) -> RecordParked:
    """The fact of a parked row."""
    return RecordParked(batch_id=row.batch_id, record_id=row.id, stage=stage, issue=row.issue, code=row.code)


def stage_of(row: Row) -> StageName:
    """The stage that has the row, or had it last."""
    return StageName(row.step) if row.step != Step.NOTHING else StageName.DISPATCH


def _record_id(message: Message) -> UUID | None:
    match message:
        case RecordFact():
            return message.record.id
        case StageFact() | PreviewRendered():
            return message.record_id
    return None


def _rows(session: Session, ids: set[UUID]) -> dict[UUID, Row]:
    query = select(Row).where(col(Row.id).in_(sorted(ids))).order_by(col(Row.id)).with_for_update()
    return {row.id: row for row in session.exec(query)} if ids else {}


def _envelope(fact: Any) -> Envelope:
    return Envelope.of(
        fact, source="ingest", correlation=fact.batch_id, id=derived("parked", fact.record_id, fact.issue, fact.code)
    )
