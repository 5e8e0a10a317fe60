"""The watchdog: finds records whose message must be lost, and no others.

A queue is answered in order, more or less. A record counts as lost when its lane answered twice as many later ones as were
in flight and a minute has passed: then it is put back, as an attempt, and the pacer issues it again when there is room. In
a lane that has been silent for an hour nothing can be told: the same messages are published again, as they were. Nothing
is done while the lane is closed, nor about what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.lanes import held
from services.ingest.model import RowState
from services.ingest.outgoing import asked_of, command_of, fact_envelope
from services.ingest.pace import capacity, lane_now, lanes_ahead
from services.ingest.placing import attempted
from services.ingest.row_facts import parked, stage_of
from services.ingest.settings import IngestSettings
from services.ingest.tables import Batch, Lane, Row
from services.ingest.waiting import still_wanted
from shared.contracts.envelope import Envelope
from shared.db.engine import Database

log = structlog.get_logger()
LOST = "message-lost"
LOOK_SECONDS = 10.0
NEVER_SOONER = timedelta(minutes=1)
Place = tuple[str, str, str, str]
"""(errand, step, creditor, channel) of issued rows."""


class Watchdog:
    """`tick` looks every ten seconds; calling it more often costs nothing."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime],
        settings: IngestSettings,
    ) -> None:  # fmt: skip
        self._database = database
        self._publish = publish
        self._now = now
        self._settings = settings
        self._looked: datetime | None = None

    def tick(self) -> int:
        """How many records were put back or published again."""
        now = self._now()
        if self._looked is not None and now - self._looked < timedelta(seconds=LOOK_SECONDS):
            return 0
        self._looked = now
        with self._database.read() as session:
            places = _places(session, now - NEVER_SOONER)
        if not places:
            return 0
        out: list[Envelope] = []
        with self._database.write() as session:
            lanes = held(session, {_lane(place) for place in places}, now)
            for place in places:
                lane = lanes.get(_lane(place))
                if lane is not None and lane.probe_at is None:
                    out += self._lost(session, place, lane) or self._silent(session, place, lane)
        self._publish(out)
        return len(out)

    def _lost(self, session: Session, place: Place, lane: Lane) -> list[Envelope]:
        """Put back what the lane must have answered by now; what had its attempts is parked."""
        said: list[Envelope] = []
        overtaken = col(Row.overdue_at) <= lane.answered
        for row in _rows(session, place, self._now() - NEVER_SOONER, capacity(lane), overtaken):
            log.warning("ingest.message-lost", record_id=str(row.id), lane=lane_now(row), issue=row.issue)
            if attempted(row, LOST, self._now(), self._settings.retry_waits, wait=False):
                said.append(fact_envelope(parked(row, stage_of(row))))
            session.add(row)
        return said

    def _silent(self, session: Session, place: Place, lane: Lane) -> list[Envelope]:
        """Publish again, under the same ids, what a lane that says nothing may never have got."""
        since = self._now() - timedelta(seconds=self._settings.silent_seconds)
        if lane.answered_at is not None and lane.answered_at > since:
            return []
        said: list[Envelope] = []
        for row in _rows(session, place, since, capacity(lane)):
            row.issued_at = self._now()
            session.add(row)
            said.append(command_of(asked_of(row)))
        return said


def _lane(place: Place) -> str:
    errand, step, creditor, channel = place
    return lanes_ahead(errand or step, creditor, channel)[0]


def _places(session: Session, before: datetime) -> list[Place]:
    """Where something has been issued for longer than that."""
    columns = (col(Row.errand), col(Row.step), col(Row.creditor), col(Row.channel))
    query = sql_select(*columns).where(col(Row.state) == RowState.ISSUED.value, col(Row.issued_at) <= before)
    found = session.connection().execute(query.distinct())
    return sorted((errand, step, creditor, channel) for errand, step, creditor, channel in found)


def _rows(
    session: Session, place: Place, before: datetime, limit: int, *conditions: ColumnElement[bool]
) -> list[Row]:  # fmt: skip
    """The rows of batches that go on: what was cancelled is not to be acted on any more, but for its withdrawals."""
    errand, step, creditor, channel = place
    mine = (
        col(Row.errand) == errand,
        col(Row.step) == step,
        col(Row.creditor) == creditor,
        col(Row.channel) == channel,
    )
    query = (
        select(Row)
        .join(Batch, col(Batch.id) == col(Row.batch_id))
        .where(
            col(Row.state) == RowState.ISSUED.value, *mine, col(Row.issued_at) <= before, still_wanted(), *conditions
        )
        .order_by(col(Row.issued_at), col(Row.number))
        .limit(limit)
    )
    return list(session.exec(query.with_for_update(of=Row, skip_locked=True)))
