"""The facts of a stage and the envelopes they travel in: from the ledger row and the request alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from shared import tracing
from shared.bus.lanes import LaneEvent
from shared.contracts.base import StageName
from shared.contracts.commands import Message, RecordCommand, Settle
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    CommandRefused,
    Fact,
    LaneClosed,
    LaneOpened,
    RecordFact,
    Restated,
    StageDeferred,
    StageFailed,
)
from shared.contracts.record import SECTIONS, SectionState, section_of, with_section
from shared.contracts.registry import kebab
from shared.ids import derived
from shared.metrics import LANE_CLOSED, RECORDS
from shared.stage import Deferred, Request, Work

log = structlog.get_logger()
KILLER = "kills-worker"
UNEXPECTED = "La richiesta non si è potuta eseguire per un errore del sistema: avvisare chi lo gestisce."


class Statements:
    """What one stage says."""

    def __init__(self, stage: StageName, states: Mapping[SectionState, type[RecordFact]]) -> None:
        self.stage = stage
        self._states = states

    def section(self, work: Work[Any]) -> RecordFact:
        """What the row came to, on the record and with the orders and the issue of the request in hand."""
        section = SECTIONS[self.stage][1].model_validate(work.row.section)
        record = with_section(work.request.record, self.stage, section)
        return self._states[section.state](record=record, orders=work.request.orders, issue=work.request.issue)

    def count(self, stated: Sequence[Work[Any]], repeated: int) -> None:
        """For the metrics: of these works the first `repeated` are only stated again."""
        outcomes = Counter(str(work.row.state) for work in stated[repeated:])
        outcomes["repeated"] = repeated
        for outcome, count in outcomes.items():
            RECORDS.labels(self.stage.value, outcome).inc(count)

    def failure(self, request: Request, code: str, *, permanent: bool) -> StageFailed:
        """Nothing happened."""
        log.info("stage.failed", record_id=str(request.record.id), code=code, permanent=permanent)
        RECORDS.labels(self.stage.value, "permanent" if permanent else "transient").inc()
        return StageFailed(
            batch_id=request.record.batch_id, record_id=request.record.id, stage=self.stage, order=request.order,
            issue=request.issue, code=code, permanent=permanent,
        )  # fmt: skip

    def deferral(self, request: Request, deferred: Deferred) -> StageDeferred:
        """Not now."""
        RECORDS.labels(self.stage.value, "deferred").inc()
        return StageDeferred(
            batch_id=request.record.batch_id, record_id=request.record.id, stage=self.stage, order=request.order,
            issue=request.issue, code=deferred.why, until=deferred.until,
        )  # fmt: skip

    def lane(self, event: LaneEvent) -> Fact:
        """A lane closed or opened."""
        LANE_CLOSED.labels(self.stage.value, event.lane).set(bool(event.code))
        if event.code:
            log.warning("lane.closed", lane=event.lane, code=event.code)
            return LaneClosed(stage=self.stage, lane=event.lane, code=event.code, since=event.since)
        log.info("lane.open", lane=event.lane)
        return LaneOpened(stage=self.stage, lane=event.lane)

    def broken(self, message: Message, code: str) -> list[Fact]:
        """The answer to a message whose handler failed in a way that nobody expected."""
        if isinstance(message, Settle):
            return [
                CommandRefused(command_id=message.command_id, batch_id=message.batch_id, code=code, message=UNEXPECTED)
            ]
        if isinstance(message, RecordCommand):
            return [self.failure(Request.of(message, self.stage), code, permanent=True)]
        return []

    def condemned(self, message: Message, cause: Envelope, *, trigger: bool) -> list[Envelope]:
        """The answer to what killed whoever took it, without taking it."""
        log.error("stage.kills-worker", message_id=cause.id)
        facts = self.broken(message, KILLER)
        if trigger and isinstance(message, RecordFact):
            facts = [self.failure(Request.of(message, self.stage), KILLER, permanent=True)]
        return self.answers(facts, cause)

    def restated(self, request_id: UUID) -> Envelope:
        """All that a `Restate` asked for was said."""
        done = Restated(service=self.stage.value, request_id=request_id)
        return Envelope.of(done, source=self.stage.value, id=derived("restated", self.stage.value, request_id))

    def envelope(self, fact: Fact, batch_id: UUID, cause: Envelope | None = None) -> Envelope:
        """A fact on its way. `cause`: the message that led to it."""
        name = kebab(type(fact).__name__)
        return Envelope.of(
            fact, source=self.stage.value, id=fact_id(fact), correlation=batch_id,
            causation=cause.id if cause else "",
            traceparent=tracing.step(name, cause.traceparent, stage=self.stage.value, batch=str(batch_id)) if cause else "",
        )  # fmt: skip

    def told_again(self, work: Work[Any]) -> Envelope:
        """What a row came to, as an old fact: it says when that was, and triggers no stage."""
        fact, row = self.section(work), work.row
        return Envelope.of(
            fact,
            source=self.stage.value,
            id=fact_id(fact),
            correlation=row.batch_id,
            restated=True,
            time=row.updated_at,
        )

    def answers(self, facts: Sequence[Fact], cause: Envelope) -> list[Envelope]:
        """A handler's facts, named after the message that it took."""
        return [
            Envelope.of(
                fact, source=self.stage.value, id=derived(cause.id, number), correlation=cause.correlation,
                causation=cause.id, traceparent=cause.traceparent,
            )
            for number, fact in enumerate(facts)
        ]  # fmt: skip


def fact_id(fact: Fact) -> UUID | None:
    """The id of a fact: derived, so that a repeat has the same; `None` for what has no repeat."""
    kind = type(fact).__name__
    if isinstance(fact, RecordFact):
        section = section_of(fact.record, StageName(fact.owner))
        version = (section.order, section.state.value, section.code) if section else (0, "", "")
        return derived(kind, fact.record.id, *version)
    if isinstance(fact, StageFailed):
        return derived(kind, fact.stage, fact.record_id, fact.order, fact.issue)
    if isinstance(fact, StageDeferred):
        return derived(kind, fact.stage, fact.record_id, fact.order, fact.issue, fact.until)
    return None
