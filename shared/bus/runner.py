"""The runner of every stage: reserve, act, record, pass on, let go.

A crash between any two steps is a repeat, never a loss and never a double: there is no outbox table, the unacked message
and the ledger row are it (docs/adr/0003).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import structlog

from shared.bus.consumer import Delivery
from shared.bus.lanes import LaneEvent, Lanes, utc_now
from shared.bus.ledgers import Ledger
from shared.contracts.commands import RecordCommand, Restate
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    Fact,
    LaneClosed,
    LaneOpened,
    RecordFact,
    Restated,
    StageDeferred,
    StageFailed,
)
from shared.contracts.record import SectionState, with_section
from shared.db.ledger import LedgerState
from shared.ids import derived
from shared.stage import Deferred, Outcome, Permanent, Renew, Request, Transient, Uncertain, UnlookableStage, Work
from shared.wiring import StageService

log = structlog.get_logger()
SETTLED = (LedgerState.DONE, LedgerState.REFUSED, LedgerState.UNCERTAIN, LedgerState.WITHDRAWN)
RENEWALS = 20
DELIVERIES_THAT_KILL = 2
Publish = Callable[[Sequence[Envelope]], None]


@dataclass(slots=True)
class Handful:
    """What one handful of requests comes to."""

    state: list[Work[Any]] = field(default_factory=list)
    look: list[Work[Any]] = field(default_factory=list)
    act: list[Work[Any]] = field(default_factory=list)
    facts: list[tuple[Fact, UUID]] = field(default_factory=list)

    def say(self, fact: Fact, request: Request) -> None:
        """A fact, correlated to the request's batch."""
        self.facts.append((fact, request.record.batch_id))


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
        self.lanes = Lanes(now)
        self._ledger: Ledger[Any] = Ledger(service.database, service.stage, owner, alive, now)
        connections = 1 if self._stage.lookable else self._stage.connections
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix=f"{self._stage.name.value}-act")

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """One handful, whole. Returns when all that is to be stated is with the broker."""
        requests: list[Request] = []
        out: list[Envelope] = []
        for delivery in deliveries:
            message = delivery.message
            if isinstance(message, Restate):
                self._restate(message)
            elif type(message) in self._service.triggers:
                assert isinstance(message, RecordCommand | RecordFact)
                request = Request.of(message, self._stage.name)
                if delivery.earlier >= DELIVERIES_THAT_KILL:
                    failure = self._failure(request, "kills-worker", permanent=True)
                    out += self._envelopes([(failure, request.record.batch_id)])
                elif not delivery.envelope.restated:
                    requests.append(request)
            elif handler := self._service.handlers.get(type(message)):
                out += [
                    Envelope.of(fact, source=self._source, correlation=delivery.envelope.correlation,
                                causation=delivery.envelope.id, id=derived(delivery.envelope.id, number))
                    for number, fact in enumerate(handler(message))
                ]  # fmt: skip
        out += self._requests(requests)
        if out:
            self._publish(out)

    def close(self) -> None:
        """Let the acts in hand end."""
        self._pool.shutdown(wait=True)

    @property
    def _source(self) -> str:
        return self._stage.name.value

    # -- a handful of requests

    def _requests(self, requests: Sequence[Request]) -> list[Envelope]:
        wants = getattr(self._stage, "wants", None)
        hand: dict[tuple[UUID, int], Request] = {}
        for request in sorted(requests, key=lambda each: (each.record.id, each.order, each.issue)):
            if wants is None or wants(request):
                hand[request.key] = request
        if not hand:
            return []
        handful = Handful()
        self._reserve(handful, hand)
        for work in handful.look:
            self._look(handful, work)
        if self._stage.lookable:
            self._act_together(handful)
        else:
            self._act_one_by_one(handful)
        for work in handful.state:
            handful.say(self._fact(work), work.request)
        return self._envelopes(handful.facts)

    def _reserve(self, handful: Handful, hand: dict[tuple[UUID, int], Request]) -> None:
        for request, row, verdict in self._ledger.reserve(hand):
            work = Work(request, row)
            if verdict == "content-differs":
                handful.say(self._failure(request, verdict, permanent=True), request)
            elif verdict == "leased":
                until = row.lease_until or self._now() + timedelta(seconds=self._stage.lease_seconds)
                handful.say(self._deferral(request, Deferred(until, "leased")), request)
            elif row.state in SETTLED and row.state != LedgerState.UNCERTAIN:
                handful.state.append(work)
            elif (until := self.lanes.admit(row.lane)) is not None:
                handful.say(self._deferral(request, Deferred(until, "lane-closed")), request)
            elif verdict == "seen":
                handful.look.append(work)
            else:
                handful.act.append(work)

    def _look(self, handful: Handful, work: Work[Any]) -> None:
        """A row that somebody may have acted on: first what the outside world knows."""
        outcome = self._stage.look(work)
        if outcome is not None:
            self._conclude(handful, [(work, outcome)])
        elif work.row.state == LedgerState.RESERVED:
            handful.act.append(work)
        else:
            self.lanes.release(work.row.lane)
            doubtful = work.row.state == LedgerState.ACTING
            handful.state.append(self._ledger.doubt(work) if doubtful else work)

    def _act_together(self, handful: Handful) -> None:
        if handful.act:
            outcomes = zip(handful.act, self._safely(handful.act), strict=True)
            self._conclude(handful, [self._renewed(work, outcome) for work, outcome in outcomes])

    def _act_one_by_one(self, handful: Handful) -> None:
        """Acts that cannot be looked up: each marked at its last moment, recorded right after, so that a kill leaves in
        doubt at most as many as there are connections."""
        started = self._now()

        def act(work: Work[Any]) -> tuple[Work[Any], Outcome, LaneEvent | None]:
            if (until := self.lanes.closed_after(work.row.lane, started)) is not None:
                return work, Deferred(until, "lane-closed"), None
            outcome = self._once(work)
            return self._ledger.record([(work, outcome)])[0], outcome, self._account(work, outcome)

        for work, outcome, event in self._pool.map(act, handful.act):
            self._say(handful, work, outcome, event)

    def _once(self, work: Work[Any]) -> Outcome:
        marked = False

        def mark() -> bool:
            nonlocal marked
            marked = self._ledger.mark_acting(work)
            return marked

        try:
            return cast("UnlookableStage[Any]", self._stage).act_once(work, mark)
        except Exception as error:
            log.exception("stage.unexpected", stage=self._source, record_id=str(work.request.record.id))
            return Uncertain(self._ledger.doubtful(work)) if marked else Permanent(f"unexpected-{type(error).__name__}")

    def _safely(self, works: Sequence[Work[Any]]) -> Sequence[Outcome]:
        """Act; on a bug, repeat one by one so that only the guilty one is parked."""
        try:
            return list(self._stage.act(works))
        except Exception as error:
            if len(works) > 1:
                return [self._safely([work])[0] for work in works]
            log.exception("stage.unexpected", stage=self._source, record_id=str(works[0].request.record.id))
            return [Permanent(f"unexpected-{type(error).__name__}")]

    def _renewed(self, work: Work[Any], outcome: Outcome) -> tuple[Work[Any], Outcome]:
        for _ in range(RENEWALS):
            if not isinstance(outcome, Renew):
                return work, outcome
            work = self._ledger.renew(work)
            outcome = self._safely([work])[0]
        return (work, Transient(outcome.code)) if isinstance(outcome, Renew) else (work, outcome)

    def _conclude(self, handful: Handful, outcomes: Sequence[tuple[Work[Any], Outcome]]) -> None:
        recorded = self._ledger.record(outcomes)
        for work, (_, outcome) in zip(recorded, outcomes, strict=True):
            self._say(handful, work, outcome, self._account(work, outcome))

    def _account(self, work: Work[Any], outcome: Outcome) -> LaneEvent | None:
        """What the outcome says about the lane."""
        lane = work.row.lane
        match outcome:
            case Transient(code, lane=True, shut=shut):
                return self.lanes.failed(lane, code, shut=shut)
            case Deferred() | Permanent():
                self.lanes.release(lane)
                return None
            case _:
                return self.lanes.succeeded(lane)

    def _say(self, handful: Handful, work: Work[Any], outcome: Outcome, event: LaneEvent | None) -> None:
        request = work.request
        match outcome:
            case Transient(code, lane=lane):
                until = self.lanes.closed_until(work.row.lane) if lane else None
                if until is not None:  # an outage is nobody's failure
                    handful.say(self._deferral(request, Deferred(until, "lane-closed")), request)
                else:
                    handful.say(self._failure(request, code, permanent=False), request)
            case Permanent(code):
                handful.say(self._failure(request, code, permanent=True), request)
            case Deferred():
                handful.say(self._deferral(request, outcome), request)
            case _:
                handful.state.append(work)
        if event is not None:
            handful.say(self._lane_fact(event), request)

    # -- facts

    def _fact(self, work: Work[Any]) -> RecordFact:
        section = self._ledger.section(work.row)
        request = work.request
        kind = self._stage.states[section.state]
        record = with_section(request.record, self._stage.name, section)
        return kind(record=record, orders=request.orders, issue=request.issue)

    def _failure(self, request: Request, code: str, *, permanent: bool) -> Fact:
        log.info("stage.failed", stage=self._source, record_id=str(request.record.id), code=code, permanent=permanent)
        return StageFailed(
            batch_id=request.record.batch_id, record_id=request.record.id, stage=self._stage.name, order=request.order,
            issue=request.issue, code=code, permanent=permanent,
        )  # fmt: skip

    def _deferral(self, request: Request, deferred: Deferred) -> Fact:
        return StageDeferred(
            batch_id=request.record.batch_id, record_id=request.record.id, stage=self._stage.name, order=request.order,
            issue=request.issue, code=deferred.why, until=deferred.until,
        )  # fmt: skip

    def _lane_fact(self, event: LaneEvent) -> Fact:
        log.warning("lane.changed", stage=self._source, lane=event.lane, code=event.code)
        if event.code:
            return LaneClosed(stage=self._stage.name, lane=event.lane, code=event.code, since=event.since)
        return LaneOpened(stage=self._stage.name, lane=event.lane)

    def _envelopes(self, facts: Sequence[tuple[Fact, UUID]], *, restated: bool = False) -> list[Envelope]:
        return [
            Envelope.of(fact, source=self._source, id=fact_id(fact), correlation=batch, restated=restated)
            for fact, batch in facts
        ]

    # -- restate

    def _restate(self, command: Restate) -> None:
        """State again what the ledger knows, in pages; never act."""
        for page in self._pages(command):
            self._publish(self._envelopes(page, restated=True))
        done = Restated(service=self._source, request_id=command.request_id)
        self._publish(
            [Envelope.of(done, source=self._source, id=derived("restated", self._source, command.request_id))]
        )

    def _pages(self, command: Restate) -> Iterator[list[tuple[Fact, UUID]]]:
        for rows in self._ledger.pages(command.batch_ids):
            yield [
                (self._fact(Work(self._ledger.request(row), row)), row.batch_id) for row in rows if row.state in SETTLED
            ]


def fact_id(fact: Fact) -> UUID | None:
    """The id of a fact: derived, so that a repeat has the same; `None` for what has no repeat."""
    kind = type(fact).__name__
    if isinstance(fact, RecordFact):
        return derived(kind, fact.record.id, *_section_version(fact))
    if isinstance(fact, StageFailed):
        return derived(kind, fact.stage, fact.record_id, fact.order, fact.issue)
    if isinstance(fact, StageDeferred):
        return derived(kind, fact.stage, fact.record_id, fact.order, fact.issue, fact.until)
    return None


def _section_version(fact: RecordFact) -> tuple[object, ...]:
    stage_name = {"iuv": "position", "render": "documents", "protocol": "registration", "dispatch": "sending"}[
        fact.owner
    ]
    section = getattr(fact.record, stage_name)
    return (section.order, section.state.value, section.code) if section else (0, SectionState.UNCERTAIN.value)
