"""Cancelling a batch: what is in flight ends first; the positions of what was neither sent nor is uncertain are withdrawn, a
chunk at each tick; then the end is stated, with its counts. What is still unanswered after the longest lease is counted as
such; its answer, if one comes, sets the batch in motion again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
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
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime],
        patience: timedelta,
    ) -> None:  # fmt: skip
        """`patience`: how long an answer of what is in flight is waited for."""
        self._database = database
        self._publish = publish
        self._now = now
        self._patience = patience

    def tick(self, batch_id: UUID) -> None:
        """Decide about some rows; when all are decided and nothing is under way, state the end and mark it then, with the
        batch's row held: of two replicas one does."""
        with self._database.write() as session:
            batch = session.exec(
                select(Batch).where(Batch.id == batch_id, Batch.stated != SENT).with_for_update(skip_locked=True)
            ).first()
            if batch is None or self._decide(session, batch_id) or self._under_way(session, batch_id):
                return
            batch.cancelled, batch.cancelling, batch.stated = True, False, SENT
            batch.cancelled_counts, batch.revision = self._tally(session, batch_id), batch.revision + 1
            session.add(batch)
            self._publish([_cancelled(batch)])

    def _decide(self, session: Session, batch_id: UUID) -> int:
        """Withdraw what may be payable; what is sent or uncertain stays as it is. A notice to be handed over by hand was
        not sent."""
        mine = (col(Row.batch_id) == batch_id, col(Row.errand) == "")
        undecided = (_some(session, *mine, col(Row.state) == state.value) for state in UNDECIDED)
        by_hand = and_(col(Row.state) == RowState.FINISHED.value, col(Row.code) == BY_HAND)
        rows = next((some for some in undecided if some), None) or _some(session, *mine, by_hand)
        for row in rows:
            if row.begun and row.code != ALREADY_PAID and may_be_open(row.whole, row.current_orders):
                withdraw(row, self._now())
            else:
                row.state, row.next_at = RowState.CANCELLED.value, None
            row.stir()
            session.add(row)
        return len(rows)

    def _tally(self, session: Session, batch_id: UUID) -> dict[str, int]:
        """What became of the records, from their sections as they are stored: there may be 100,000 of them."""
        tally = {"sent": 0, "registered_not_sent": 0, "withdrawn": 0, "unanswered": 0}
        accepted = col(Row.state) != RowState.REJECTED.value
        query = sql_select(col(Row.record), col(Row.state)).where(col(Row.batch_id) == batch_id, accepted)
        for record, state in session.connection().execute(query.execution_options(yield_per=CHUNK)):
            sent = _is(record, "sending", SectionState.DONE)
            tally["sent"] += sent
            tally["registered_not_sent"] += not sent and _is(record, "registration", SectionState.DONE)
            tally["withdrawn"] += _is(record, "position", SectionState.WITHDRAWN)
            tally["unanswered"] += state == RowState.ISSUED.value
        return tally

    def _under_way(self, session: Session, batch_id: UUID) -> bool:
        mine, since = col(Row.batch_id) == batch_id, self._now() - self._patience
        issued = exists().where(
            mine, col(Row.errand) == "", col(Row.state) == RowState.ISSUED.value, col(Row.issued_at) > since
        )
        withdrawing = exists().where(
            mine, col(Row.errand) == WITHDRAW, col(Row.state).in_((RowState.ISSUED.value, RowState.WAITING.value))
        )
        return bool(session.connection().execute(sql_select(or_(issued, withdrawing))).scalar())


def _is(record: dict[str, dict[str, str]], section: str, state: SectionState) -> bool:
    return record.get(section, {}).get("state") == state.value


def _some(session: Session, *conditions: ColumnElement[bool]) -> list[Row]:
    """A chunk, locked in the order in which everybody locks rows. To sort all that are left would cost more each time."""
    ids = sorted(session.exec(select(Row.id).where(*conditions).order_by(col(Row.next_at)).limit(CHUNK)))
    query = select(Row).where(col(Row.id).in_(ids), *conditions).order_by(col(Row.id))
    return list(session.exec(query.with_for_update())) if ids else []


def _cancelled(batch: Batch) -> Envelope:
    about = {"batch_id": batch.id, "revision": batch.revision}
    fact = BatchCancelled.model_validate({**batch.cancelled_counts, **about})
    name = derived("BatchCancelled", batch.id, batch.revision)
    return Envelope.of(fact, source="ingest", correlation=batch.id, id=name)
