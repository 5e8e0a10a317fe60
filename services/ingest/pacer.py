"""The pacer: issues records to the stages, a bounded number at a time, creditors and batches in turn.

In flight are the rows in state `issued`. Issuing commits first and publishes then: what was not confirmed is published
again at start, with the same issue, and the stages know a repeat. Whoever issues holds the lanes' rows meanwhile, and never
waits for a lock: another replica's lanes, batches and rows are left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.lanes import KnownLanes, held, lanes_of, spoken_of
from services.ingest.model import RowState
from services.ingest.outgoing import command_of, preview_of
from services.ingest.pace import Rooms, Turns, lanes_ahead
from services.ingest.tables import Batch, Row
from services.ingest.waiting import (
    CHANNELS,
    SEND_STEPS,
    Resting,
    candidates,
    last_turns,
    previewed_batches,
    resting_channels,
    steps_of,
    still_wanted,
    waiting_batches,
)
from shared.contracts.envelope import Envelope
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.db.locking import ordered_update

TURN = 25
"""How many records of one batch are issued before the next batch has its turn."""
PREVIEWS_IN_FLIGHT = 40
REPUBLISHED_AT_ONCE = 200


class Pacer:
    """`tick` issues what has room; call it often, it is cheap when there is nothing to do."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], creditors: Creditors,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._database = database
        self._publish = publish
        self._creditors = creditors
        self._now = now
        self._known = KnownLanes(database)

    def tick(self) -> int:
        """Issue; returns how many records were, letters to preview among them."""
        self._publish(())  # what an outage kept back; while it lasts, nothing more is issued
        resting = resting_channels(self._creditors, self._now())
        with self._database.read() as session:
            waiting = waiting_batches(session, self._now(), resting)
            lanes = lanes_of({batch.creditor for batch in waiting}) | spoken_of(session)
            idle = not lanes and not self._previews(session)
        if idle:
            return 0
        self._known.ensure(lanes)
        with self._database.write() as session:
            out = [command_of(row) for row in self._issue(session, lanes, resting)]
            out += [preview_of(row) for row in self._take_previews(session)]
        self._publish(out)
        return len(out)

    def republish(self) -> int:
        """Publish every issued row again, with the same issue: after a start, or a wiped broker. What is to be cancelled is
        not asked for any more, but for its withdrawals."""
        with self._database.write() as session:
            lost = ordered_update(Row, Row.id, col(Row.preview) == "issued", preview="")
            session.connection().execute(lost)
        count = 0
        for rows in self._issued():
            self._publish([command_of(row) for row in rows])
            count += len(rows)
        return count

    # -- inside

    def _issue(self, session: Session, lanes: Collection[str], resting: Resting) -> Iterator[Row]:
        rooms = Rooms(held(session, lanes, self._now()), self._now())
        self._fill(session, rooms)
        # asked again under a lock: a merge or a pause may have come between
        waiting = {batch.id: batch for batch in waiting_batches(session, self._now(), resting, lock=True)}
        turns = Turns(last_turns(session, {batch.creditor for batch in waiting.values()}), self._now())
        while waiting:
            batch = turns.next(waiting)
            issued = 0
            for row in self._turn(session, batch, rooms, resting.get(batch.creditor, ())):
                yield row
                issued += 1
            if issued:
                turns.served(batch)
                session.add(batch)
                session.flush()
            if issued < TURN:
                del waiting[batch.id]

    def _turn(self, session: Session, batch: Batch, rooms: Rooms, shut: Collection[str]) -> Iterator[Row]:
        """Up to `TURN` rows of a batch, the furthest first; a step whose lanes are full does not hold up the others."""
        wanted = TURN
        for step in steps_of(batch):
            for channel in CHANNELS:
                if step in SEND_STEPS and channel in shut:
                    continue
                lanes = lanes_ahead(step, batch.creditor, channel)
                room = min(wanted, rooms.left(lanes))
                rows = candidates(session, batch.id, step, channel, self._now(), room) if room else []
                rooms.take(lanes, len(rows))
                wanted -= len(rows)
                for row in rows:
                    row.state, row.issue, row.next_at = RowState.ISSUED.value, row.issue + 1, None
                    row.issued_at, row.overdue_at = self._now(), rooms.mark(lanes[0])
                    session.add(row)
                    yield row

    def _fill(self, session: Session, rooms: Rooms) -> None:
        """Count what is in flight."""
        groups = (col(Row.step), col(Row.creditor), col(Row.channel), col(Row.errand))
        query = sql_select(*groups, func.count()).where(col(Row.state) == RowState.ISSUED.value).group_by(*groups)
        for step, creditor, channel, errand, count in session.connection().execute(query):
            rooms.in_flight(lanes_ahead(errand or step, creditor, channel), count)

    def _issued(self) -> Iterator[list[Row]]:
        last = UUID(int=0)
        while True:
            query = select(Row).join(Batch, col(Batch.id) == col(Row.batch_id)).where(still_wanted())
            query = query.where(Row.state == RowState.ISSUED.value, Row.id > last)
            with self._database.read() as session:
                rows = list(session.exec(query.order_by(col(Row.id)).limit(REPUBLISHED_AT_ONCE)))
            if not rows:
                return
            yield rows
            last = rows[-1].id

    # -- letters of records that nobody has generated yet, for the preview page

    def _previews(self, session: Session) -> list[Row]:
        batches = previewed_batches(session)
        if not batches:
            return []
        mine = col(Row.batch_id).in_(batches)
        issued = session.exec(select(func.count()).where(mine, Row.preview == "issued")).one()
        query = select(Row).where(mine, Row.preview == "").order_by(col(Row.batch_id), col(Row.number))
        room = PREVIEWS_IN_FLIGHT - issued
        return list(session.exec(query.limit(room).with_for_update(skip_locked=True))) if room > 0 else []

    def _take_previews(self, session: Session) -> list[Row]:
        rows = self._previews(session)
        for row in rows:
            row.preview = "issued"
            session.add(row)
        return rows
