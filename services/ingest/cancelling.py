"""Cancelling a batch: what is in flight ends first; then the positions of what was neither sent nor is uncertain are
withdrawn, a chunk at each tick; then the end is stated, with its counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.model import ALREADY_PAID, BY_HAND, RowState, may_be_open
from services.ingest.placing import withdraw
from services.ingest.tables import SENT, WITHDRAW, Batch, Row
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchCancelled
from shared.contracts.record import SectionState
from shared.db.engine import Database
from shared.ids import derived

CHUNK = 200
UNDECIDED = (RowState.READY, RowState.WAITING, RowState.PARKED, RowState.REFUSED)


class Cancelling:
    """`tick` goes on with one batch. It comes back to a cancelled one that something set in motion again."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._publish = publish
        self._now = now

    def tick(self, batch_id: UUID) -> None:
        """Decide about some rows; when all are decided and nothing is under way, state the end and mark it then."""
        with self._database.write() as session:
            decided = self._decide(session, batch_id)
        with self._database.read() as session:
            if decided or _under_way(session, batch_id):
                return
            batch = session.get_one(Batch, batch_id)
        revision, found = batch.revision + 1, self._tally(batch_id)
        fact = BatchCancelled.model_validate({"batch_id": batch_id, "revision": revision, **found})
        name = derived("BatchCancelled", batch_id, revision)
        self._publish([Envelope.of(fact, source="ingest", correlation=batch_id, id=name)])
        with self._database.write() as session:
            batch = session.get_one(Batch, batch_id, with_for_update=True)
            batch.cancelled, batch.cancelling, batch.stated = True, False, SENT
            batch.cancelled_counts, batch.revision = found, revision
            session.add(batch)

    def _decide(self, session: Session, batch_id: UUID) -> int:
        """Withdraw what may be payable; what is sent or uncertain stays as it is. A notice to be handed over by hand was
        not sent."""
        mine = (Row.batch_id == batch_id, Row.errand == "")
        undecided = col(Row.state).in_([state.value for state in UNDECIDED])
        by_hand = and_(col(Row.state) == RowState.FINISHED.value, col(Row.code) == BY_HAND)
        rows = _some(session, *mine, undecided) or _some(session, *mine, by_hand)
        for row in rows:
            if row.begun and row.code != ALREADY_PAID and may_be_open(row.whole, row.current_orders):
                withdraw(row, self._now())
            else:
                row.state, row.next_at = RowState.CANCELLED.value, None
            session.add(row)
        return len(rows)

    def _tally(self, batch_id: UUID) -> dict[str, int]:
        """What became of the records, from their sections as they are stored: there may be 100,000 of them."""
        tally = {"sent": 0, "registered_not_sent": 0, "withdrawn": 0}
        accepted = col(Row.state) != RowState.REJECTED.value
        query = sql_select(col(Row.record)).where(col(Row.batch_id) == batch_id, accepted)
        with self._database.read() as session:
            for (record,) in session.connection().execute(query.execution_options(yield_per=CHUNK)):
                sent = _is(record, "sending", SectionState.DONE)
                tally["sent"] += sent
                tally["registered_not_sent"] += not sent and _is(record, "registration", SectionState.DONE)
                tally["withdrawn"] += _is(record, "position", SectionState.WITHDRAWN)
        return tally


def _is(record: dict[str, dict[str, str]], section: str, state: SectionState) -> bool:
    return record.get(section, {}).get("state") == state.value


def _some(session: Session, *conditions: ColumnElement[bool] | bool) -> list[Row]:
    return list(session.exec(select(Row).where(*conditions).limit(CHUNK).with_for_update()))


def _under_way(session: Session, batch_id: UUID) -> bool:
    mine = col(Row.batch_id) == batch_id
    issued = exists().where(mine, col(Row.errand).in_(("", WITHDRAW)), col(Row.state) == RowState.ISSUED.value)
    withdrawing = exists().where(mine, col(Row.errand) == WITHDRAW, col(Row.state) == RowState.WAITING.value)
    return bool(session.connection().execute(sql_select(or_(issued, withdrawing))).scalar())
