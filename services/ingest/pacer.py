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

from services.ingest.issuing import issue
from services.ingest.lanes import KnownLanes, held, lanes_of, spoken_of
from services.ingest.model import RowState
from services.ingest.outgoing import ASKED, Asked, command_of, preview_of
from services.ingest.pace import MOST, Rooms, lanes_ahead
from services.ingest.tables import Batch, Row
from services.ingest.turns import Turns, keep, last_turns
from services.ingest.waiting import (
    Resting,
    Waiting,
    previewed,
    previews_wanted,
    resting_channels,
    still_wanted,
    waiting_batches,
)
from shared.contracts.envelope import Envelope
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.db.locking import ordered_update

TURN = 25
"""How many records of one batch are issued before the next batch has its turn."""
PREVIEWS_IN_FLIGHT = 2
"""One in the making and one behind it: a person who asks for a record's preview waits for no more than these."""
REPUBLISHED_AT_ONCE = 200
GROUPS = (col(Row.step), col(Row.creditor), col(Row.channel), col(Row.errand))
IN_FLIGHT = sql_select(*GROUPS, func.count()).where(col(Row.state) == RowState.ISSUED.value).group_by(*GROUPS)


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
            lanes = lanes_of(waiting) | spoken_of(session)
            letters = previews_wanted(session)
        if not lanes and not letters:
            return 0
        self._known.ensure(lanes)
        with self._database.write() as session:
            out = [command_of(asked) for asked in self._issue(session, lanes, resting)] if lanes else []
            out += [preview_of(row) for row in self._take_previews(session)] if letters else []
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
            self._publish([command_of(asked) for asked in rows])
            count += len(rows)
        return count

    # -- inside

    def _issue(self, session: Session, lanes: Collection[str], resting: Resting) -> Iterator[Asked]:
        mine = held(session, lanes, self._now())
        # another replica has them, or a database that was restored has not
        self._known.forget(set(lanes) - mine.keys())
        rooms = Rooms(mine, self._now())
        for step, creditor, channel, errand, count in session.connection().execute(IN_FLIGHT):
            rooms.in_flight(lanes_ahead(errand or step, creditor, channel), count)
        # asked again under a lock: a merge or a pause may have come between
        waiting = {batch.id: batch for batch in waiting_batches(session, self._now(), resting, lock=True)}
        turns = Turns(last_turns(session, waiting.values()), self._now())
        while waiting:
            batch = turns.next(waiting)
            issued = self._turn(session, batch, rooms, TURN if len(waiting) > 1 else MOST)
            if issued:
                turns.served(batch)
            yield from issued
            if not batch.places:
                del waiting[batch.id]
        keep(session, turns)

    def _turn(self, session: Session, batch: Waiting, rooms: Rooms, most: int) -> list[Asked]:
        """Up to `most` rows of a batch, the furthest first; a step whose lanes are full does not hold up the others. What
        is full or exhausted is not asked for again in this tick."""
        issued: list[Asked] = []
        for place in tuple(batch.places):
            lanes = lanes_ahead(place.step, batch.creditor, place.channel)
            wanted = most - len(issued)
            room = min(wanted, rooms.left(lanes))
            found = issue(session, batch.id, place, self._now(), rooms.mark(lanes[0]), room) if room else []
            rooms.take(lanes, len(found))
            issued += found
            if len(found) < wanted:
                batch.places.remove(place)
        return issued

    def _issued(self) -> Iterator[list[Asked]]:
        last = UUID(int=0)
        while True:
            query = sql_select(*ASKED).join(Batch, col(Batch.id) == col(Row.batch_id)).where(still_wanted())
            query = query.where(col(Row.state) == RowState.ISSUED.value, col(Row.id) > last)
            with self._database.read() as session:
                found = session.connection().execute(query.order_by(col(Row.id)).limit(REPUBLISHED_AT_ONCE))
                rows = [Asked(*line) for line in found]
            if not rows:
                return
            yield rows
            last = rows[-1].id

    # -- letters of records that nobody has generated yet, for the preview page

    def _take_previews(self, session: Session) -> list[Row]:
        mine = col(Row.batch_id).in_(list(session.exec(select(Batch.id).where(previewed()))))
        issued = session.exec(select(func.count()).where(mine, Row.preview == "issued")).one()
        query = select(Row).where(mine, Row.preview == "").order_by(col(Row.batch_id), col(Row.number))
        room = PREVIEWS_IN_FLIGHT - issued
        rows = list(session.exec(query.limit(room).with_for_update(skip_locked=True))) if room > 0 else []
        for row in rows:
            row.preview = "issued"
            session.add(row)
        return rows
