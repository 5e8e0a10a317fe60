"""What the stages' facts do to ingest's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.hand import Hand, InHand
from services.ingest.lanes import Words
from services.ingest.model import (
    ALREADY_PAID,
    MOVING,
    SETTLED_NOT_REGISTERED,
    SETTLED_NOT_SENT,
    RowState,
    corrected,
    current,
    raised,
)
from services.ingest.outgoing import fact_envelope
from services.ingest.pace import LEAST, lane_now, lane_of, overdue_mark
from services.ingest.placing import attempted, follow, paid, place
from services.ingest.row_facts import parked, row_facts
from services.ingest.tables import SENT, Batch, Lane
from shared.bus.outages import OUTAGES
from shared.contracts.base import StageName
from shared.contracts.commands import Correction, Message
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    Fact,
    PreviewRendered,
    RecordFact,
    StageDeferred,
    StageFact,
    StageFailed,
)
from shared.contracts.record import Orders, Record, SectionState, section_of, with_section
from shared.db.engine import Database
from shared.db.locking import ordered_update

log = structlog.get_logger()
PREVIEWED = {"letter", "notice", "code", "detail"}
LANE_CLOSED = "lane-closed"
"""Why a stage puts a record off without having tried (shared/bus/runner.py)."""
NOBODY = UUID(int=0)
ENDED = sql_select(col(Batch.id)).where(col(Batch.id).in_(bindparam("ids", expanding=True)), col(Batch.stated) == SENT)


class Progress:
    """Folds the facts of a handful into the rows, in one transaction."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime],
        waits: Sequence[timedelta],
    ) -> None:  # fmt: skip
        self._database = database
        self._publish = publish
        self._now = now
        self._waits = waits

    def take(self, messages: Sequence[Message]) -> None:
        """The messages of the facts queue. Those about unknown records are somebody else's, or not ours yet. One that
        cannot be folded is left out: its neighbours are not held up, and restating brings it again."""
        try:
            self._fold(messages)
        except OUTAGES:
            raise
        except Exception:
            if len(messages) > 1:
                for message in messages:
                    self.take([message])
            else:
                name = type(messages[0]).__name__
                log.exception("ingest.fact-left-out", fact=name, record_id=str(_record_id(messages[0])))

    def _fold(self, messages: Sequence[Message]) -> None:
        about = {record_id for message in messages if (record_id := _record_id(message)) is not None}
        said: list[Fact] = []
        words = Words()
        with self._database.write() as session:
            hand = Hand(session, about)
            rows = hand.rows
            before = {row.id: lane_now(row) for row in rows.values() if row.state == RowState.ISSUED}
            for message in messages:
                row = rows.get(_record_id(message) or NOBODY)
                if row is not None:
                    said += self._one(row, message, words)
            self._handed_on(session, [rows[each] for each in before if _moved_on(rows[each], before[each])])
            hand.put_back()
            words.leave(session, self._now())
        self._reopen({row.batch_id for row in rows.values() if row.state in MOVING})
        if said:
            self._publish([fact_envelope(fact) for fact in said])

    def _reopen(self, batch_ids: set[UUID]) -> None:
        """A late word can set a batch in motion that had come to its end. In a transaction of its own, after the rows': who
        cancels or closes a batch holds it first and its rows then."""
        if not batch_ids:
            return
        with self._database.at_once() as connection:
            found = list(connection.execute(ENDED, {"ids": sorted(batch_ids)}).scalars())
        if found:
            with self._database.write() as session:
                again = ordered_update(
                    Batch, Batch.id, col(Batch.id).in_(sorted(found)), col(Batch.stated) == SENT, stated=""
                )
                session.connection().execute(again)

    def _handed_on(self, session: Session, rows: Sequence[InHand]) -> None:
        """The next stage of the phase has these now: its time to answer counts from here."""
        if not rows:
            return
        lanes = session.exec(select(Lane).where(col(Lane.name).in_(sorted({lane_now(row) for row in rows}))))
        marks = {lane.name: overdue_mark(lane) for lane in lanes}
        for row in rows:
            row.issued_at, row.overdue_at = self._now(), marks.get(lane_now(row), 2 * LEAST)

    def _one(self, row: InHand, message: Message, words: Words) -> list[Fact]:
        match message:
            case RecordFact():
                return self._section(row, message, words)
            case StageFailed():
                return self._failed(row, message)
            case StageDeferred() if row.state == RowState.ISSUED and message.issue == row.issue:
                row.state, row.next_at, row.code = RowState.WAITING.value, message.until, message.code
                if message.code == LANE_CLOSED:
                    words.bounced(lane_of(row, message.stage), message.until)
            case PreviewRendered() if message.revision == row.revision:  # else of values that were corrected since
                row.preview = "done"
                row.previewed = message.model_dump(mode="json", include=PREVIEWED, exclude_none=True)
        return []

    def _section(self, row: InHand, fact: RecordFact, words: Words) -> list[Fact]:
        stage = StageName(fact.owner)
        section = section_of(fact.record, stage)
        before, orders = row.whole, row.current_orders
        record = before if section is None else with_section(before, stage, section)
        if record is before:
            return []  # a repeat, or overtaken
        if row.state == RowState.ISSUED:
            words.answered[lane_of(row, stage)] += 1
        standing = current(section_of(record, stage), orders.of(stage))
        if row.errand and stage is StageName.IUV and standing and standing.state is SectionState.WITHDRAWN:
            return self._withdrawn(row, record, orders)
        if standing is not None and standing.code in (SETTLED_NOT_SENT, SETTLED_NOT_REGISTERED):
            follow(row, record, anew(orders, stage), self._now())
            return row_facts([row], row.revision)
        follow(row, record, orders, self._now())
        return []

    def _withdrawn(self, row: InHand, record: Record, orders: Orders) -> list[Fact]:
        """The position is gone: a correction that waited for it takes its place."""
        if row.correction is None:
            place(row, record, orders, self._now())
            return []
        after = corrected(record, Correction.model_validate(row.correction))
        row.correction, row.revision = None, row.revision + 1
        place(row, after, raised(orders, record, after), self._now())
        return row_facts([row], row.revision)

    def _failed(self, row: InHand, fact: StageFailed) -> list[Fact]:
        if not row.issue and row.preview == "issued":  # of a row that was never issued only its preview can fail
            row.preview, row.previewed = "done", {"code": fact.code}
        if fact.issue != row.issue:
            return []
        if row.state == RowState.PARKED:
            return [parked(row, fact.stage)]  # a repeat
        if row.state != RowState.ISSUED:
            return []
        if row.errand and fact.code == ALREADY_PAID:
            paid(row, self._now())
            return []
        waits = () if fact.permanent else self._waits
        return [parked(row, fact.stage)] if attempted(row, fact.code, self._now(), waits) else []


def anew(orders: Orders, stage: StageName) -> Orders:
    """A person says it did not happen: this stage, and dispatch whose input changes with it, do the record anew."""
    raised_stages = {stage, StageName.DISPATCH}
    return orders.model_copy(update={each.value: orders.of(each) + 1 for each in raised_stages})


def _moved_on(row: InHand, before: str) -> bool:
    return row.state == RowState.ISSUED and lane_now(row) != before


def _record_id(message: Message) -> UUID | None:
    match message:
        case RecordFact():
            return message.record.id
        case StageFact() | PreviewRendered():
            return message.record_id
    return None
