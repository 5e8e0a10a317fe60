"""The runner of every stage: reserve, act, record, pass on, let go.

A crash between any two steps is a repeat, never a loss and never a double: there is no outbox table, the unacked message
and the ledger row are it (docs/adr/0003).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any, cast

import structlog

from shared.bus.acting import act_once, act_together
from shared.bus.delivery import Delivery
from shared.bus.handful import Handful
from shared.bus.lanes import LaneEvent, Lanes, utc_now
from shared.bus.ledgers import SETTLED, Ledger
from shared.bus.measured import carried
from shared.bus.moves import Key
from shared.bus.outages import OUTAGES
from shared.bus.restating import restated
from shared.bus.settings import LaneSettings
from shared.bus.statements import Statements
from shared.bus.suspects import Suspects
from shared.bus.sweeper import Sweeper
from shared.contracts.commands import RecordCommand, Restate
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Fact, RecordFact
from shared.db.ledger import LedgerState
from shared.stage import Deferred, Outcome, Renew, Request, Transient, UnlookableStage, Work
from shared.wiring import Handler, StageService

log = structlog.get_logger()
RENEWALS = 20
Publish = Callable[[Sequence[Envelope]], None]
Asked = tuple[Request, Envelope]
"""A request and the message that it came by."""


class StageRunner:
    """Runs one stage service on the messages of its queue. `owner` names this process in leases; `alive` tells whether
    another owner may still be at work (embedded: nobody, the folder's lock says so)."""

    def __init__(
        self,
        service: StageService,
        publish: Publish,
        owner: str,
        *,
        alive: Callable[[str], bool] = lambda _owner: True,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._service = service
        self._stage = service.stage
        self._publish = publish
        self._now = now
        self.lanes = Lanes(now, LaneSettings().probe_waits)
        self._ledger: Ledger[Any] = Ledger(service.database, service.stage, owner, alive, now)
        self._suspects = Suspects(service.database, service.stage.row_type)
        self._statements = Statements(self._stage.name, self._stage.states)
        self._sweepers = [
            Sweeper(service.database, unasked.table, unasked.fact, publish, service.stage.name.value)
            for unasked in service.unasked
        ]
        connections = 1 if self._stage.lookable else self._stage.connections
        self._leaving = threading.Event()
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix=f"{self._stage.name.value}-act")

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """One handful, whole. Returns when all that is to be stated is with the broker; raises outages only."""
        with self._suspects.watched(deliveries) as guilty:
            if guilty is None:
                self._handle(deliveries)
            else:
                trigger = type(guilty.message) in self._service.triggers
                self._pass_on(self._statements.condemned(guilty.message, guilty.envelope, trigger=trigger))

    def _handle(self, deliveries: Sequence[Delivery]) -> None:
        asked: list[Asked] = []
        out: list[Envelope] = []
        for delivery in deliveries:
            message, envelope = delivery.message, delivery.envelope
            if isinstance(message, Restate):
                for page in restated(message, self._ledger, self.lanes, self._statements):
                    self._publish(page)
            elif type(message) in self._service.triggers:
                if not envelope.restated:  # an old fact told again triggers nothing
                    assert isinstance(message, RecordCommand | RecordFact)
                    asked.append((Request.of(message, self._stage.name), envelope))
            elif handler := self._service.handlers.get(type(message)):
                out += self._statements.answers(self._handled(handler, delivery), envelope)
        out += self._requests(asked)
        if out:
            self._pass_on(out)

    def sweep(self) -> int:
        """State what no message asked for and nobody stated yet; how many facts. Raises outages only."""
        return sum(sweeper.sweep() for sweeper in self._sweepers)

    def leave(self) -> None:
        """The process is to end: acts that are not begun are deferred, so that none is cut that cannot be looked up."""
        self._leaving.set()

    def close(self) -> None:
        """Let the acts in hand end."""
        self._pool.shutdown(wait=True)

    def _pass_on(self, envelopes: Sequence[Envelope]) -> None:
        try:
            self._publish(envelopes)
        except Exception:
            self.lanes.untold()  # the ledger states its facts again, but lanes are only in memory
            raise

    def _handled(self, handler: Handler, delivery: Delivery) -> Sequence[Fact]:
        try:
            return handler(delivery.message)
        except OUTAGES:
            raise
        except Exception as error:
            log.exception("stage.unexpected", message_id=delivery.envelope.id)
            return self._statements.broken(delivery.message, f"unexpected-{type(error).__name__}")

    # -- a handful of requests

    def _requests(self, asked: Sequence[Asked]) -> list[Envelope]:
        """On a bug, each on its own, so that the others go on and only the guilty one is parked. A single one is tried
        again too: it may only have met another worker's at the same row."""
        try:
            return self._handful(asked)
        except OUTAGES:
            raise
        except Exception:
            log.exception("stage.handful-parted", size=len(asked))
        return [envelope for each in asked for envelope in self._alone(each)]

    def _alone(self, asked: Asked) -> list[Envelope]:
        try:
            return self._handful([asked])
        except OUTAGES:
            raise
        except Exception as error:
            log.exception("stage.unexpected", record_id=str(asked[0].record.id))
            return [self._failed(asked, f"unexpected-{type(error).__name__}")]

    def _failed(self, asked: Asked, code: str) -> Envelope:
        request, cause = asked
        failure = self._statements.failure(request, code, permanent=True)
        return self._statements.envelope(failure, request.record.batch_id, cause)

    def _handful(self, asked: Sequence[Asked]) -> list[Envelope]:
        wants = getattr(self._stage, "wants", None)
        hand: dict[Key, Request] = {}
        causes: dict[Key, Envelope] = {}
        for request, envelope in sorted(asked, key=lambda each: (*each[0].key, each[0].issue)):
            if wants is None or wants(request):
                hand[request.key], causes[request.key] = request, envelope
        if not hand:
            return []
        handful = Handful(self._statements)
        self._reserve(handful, hand)
        for work in handful.look:
            self._look(handful, work)
        if self._stage.lookable:
            self._act_together(handful)
        else:
            self._act_one_by_one(handful)
        return handful.envelopes(causes)

    def _reserve(self, handful: Handful, hand: dict[Key, Request]) -> None:
        for request, row, verdict in self._ledger.reserve(hand):
            work = Work(request, row)
            if verdict in ("content-differs", "superseded"):
                handful.fail(request, verdict, permanent=True)
            elif verdict == "leased":
                until = row.lease_until or self._now() + timedelta(seconds=self._stage.lease_seconds)
                handful.defer(request, until, "leased")
            elif row.state in SETTLED and row.state != LedgerState.UNCERTAIN:
                handful.repeat(work)
            elif (until := self.lanes.admit(row.lane)) is not None:
                handful.defer(request, until, "lane-closed")
            elif verdict == "seen":
                handful.look.append(work)
            else:
                handful.act.append(work)

    def _look(self, handful: Handful, work: Work[Any]) -> None:
        """A row that somebody may have acted on: first what the outside world knows."""
        outcome = self._stage.look(work)
        if outcome is not None:
            self._conclude(handful, [self._renewed(work, outcome)])
        elif work.row.state == LedgerState.RESERVED:
            handful.act.append(work)
        else:
            self.lanes.release(work.row.lane)
            doubtful = work.row.state == LedgerState.ACTING
            handful.state.append(self._ledger.doubt(work) if doubtful else work)

    def _act_together(self, handful: Handful) -> None:
        if handful.act:
            outcomes = zip(handful.act, act_together(self._stage, handful.act), strict=True)
            self._conclude(handful, [self._renewed(work, outcome) for work, outcome in outcomes])

    def _act_one_by_one(self, handful: Handful) -> None:
        """Acts that cannot be looked up: each marked at its last moment, recorded right after, so that a kill leaves in
        doubt at most as many as there are connections."""
        started = self._now()

        def act(work: Work[Any]) -> tuple[Work[Any], Outcome, LaneEvent | None]:
            if (until := self.lanes.closed_after(work.row.lane, started)) is not None:
                return work, Deferred(until, "lane-closed"), None
            if self._leaving.is_set():
                self.lanes.release(work.row.lane)
                return work, Deferred(self._now(), "leaving"), None
            outcome = act_once(cast("UnlookableStage[Any]", self._stage), self._ledger, work)
            return self._ledger.record([(work, outcome)])[0], outcome, self.lanes.account(work.row.lane, outcome)

        acts = [self._pool.submit(carried(act), work) for work in handful.act]
        try:
            for each in acts:
                self._say(handful, *each.result())
        except BaseException:
            for each in acts:
                each.cancel()
            wait(acts)  # a row whose act goes on would seem a dead one's to our own next try, and be called doubtful
            self.lanes.untold()  # what they meant for their lanes is lost with the handful
            raise

    def _renewed(self, work: Work[Any], outcome: Outcome) -> tuple[Work[Any], Outcome]:
        for _ in range(RENEWALS):
            if not isinstance(outcome, Renew):
                return work, outcome
            work = self._ledger.renew(work)
            outcome = act_together(self._stage, [work])[0]
        return (work, Transient(outcome.code)) if isinstance(outcome, Renew) else (work, outcome)

    def _conclude(self, handful: Handful, outcomes: Sequence[tuple[Work[Any], Outcome]]) -> None:
        recorded = self._ledger.record(outcomes)
        for work, (_, outcome) in zip(recorded, outcomes, strict=True):
            self._say(handful, work, outcome, self.lanes.account(work.row.lane, outcome))

    def _say(self, handful: Handful, work: Work[Any], outcome: Outcome, event: LaneEvent | None) -> None:
        handful.conclude(work, outcome, self.lanes.closed_until(work.row.lane))
        if event is not None:
            handful.say(self._statements.lane(event), work.request)
