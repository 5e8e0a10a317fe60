"""What the facts about a record add up to: the state that people see, and why. Pure; no clock, no database.

A record's facts come late, twice and swapped. Everything here is therefore a function of *maxima* (the highest version
of each section, the highest issue of each phase), never of the order in which facts came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

from shared.contracts.base import Phase, StageName
from shared.contracts.record import Orders, Record, SectionState, section_of


class State(StrEnum):
    """A record's state, as the API names it. `TITLES` has what a clerk reads."""

    TO_CORRECT = "to-correct"
    READY = "ready"
    GENERATED = "generated"
    REGISTERED = "registered"
    SENT = "sent"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    LATE = "late"
    NOT_DELIVERED = "not-delivered"
    TO_VERIFY = "to-verify"
    BY_HAND = "by-hand"
    STUCK = "stuck"
    CANCELLED = "cancelled"
    PAID = "paid"
    EXPIRED = "expired"


TITLES: Mapping[State, str] = {
    State.TO_CORRECT: "Da correggere",
    State.READY: "Pronto",
    State.GENERATED: "Avviso generato",
    State.REGISTERED: "Protocollato",
    State.SENT: "Inviato",
    State.ACCEPTED: "Accettato",
    State.DELIVERED: "Consegnato",
    State.LATE: "In ritardo",
    State.NOT_DELIVERED: "Non consegnato",
    State.TO_VERIFY: "Invio da verificare",
    State.BY_HAND: "Da consegnare a mano",
    State.STUCK: "Fermo: serve un intervento",
    State.CANCELLED: "Annullato",
    State.PAID: "Pagato",
    State.EXPIRED: "Scaduto",
}

PHASE_OF: Mapping[StageName, Phase] = {
    StageName.IUV: Phase.GENERATE, StageName.RENDER: Phase.GENERATE,
    StageName.PROTOCOL: Phase.SEND, StageName.DISPATCH: Phase.SEND,
}  # fmt: skip
ALREADY_PAID = "already-paid"
"""Why pagoPA does not withdraw a position: good news that comes as a failure."""
UNDER_WAY = (State.READY, State.GENERATED, State.REGISTERED)
STAGES = tuple(StageName)
PHASES = tuple(Phase)


class TroubleKind(StrEnum):
    """Ranked: within one issue the graver word counts."""

    DEFERRED = "deferred"
    FAILED = "failed"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stage's last word about an attempt. `order` 0: the fact did not say. `until`: UTC, of a deferral."""

    kind: TroubleKind
    stage: StageName
    issue: int
    order: int = 0
    code: str = ""
    until: datetime | None = None

    @property
    def version(self) -> tuple[int, int, int, str, str]:
        """A total order, so that two facts in either order leave the same trouble."""
        kind, stage = tuple(TroubleKind).index(self.kind), STAGES.index(self.stage)
        return self.issue, kind, stage, self.until.isoformat() if self.until else "", self.code


class Word(NamedTuple):
    """What a stage last said of a record: the head of its section."""

    order: int
    state: SectionState
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of a record. `known`: its debtor and payment are (not those of a row that must be corrected, nor
    of one of which only a failure has come in yet), and so whether it `registers` and whether it goes `by_hand`,
    for there is nobody to write to. `words`, `orders` and `answers` (the issue of each stage's last section) are by
    stage, `issues` and `troubles` by phase. `cancelled` is the batch's."""

    known: bool = False
    registers: bool = False
    by_hand: bool = False
    rejected: bool = False
    cancelled: bool = False
    words: Mapping[StageName, Word] = field(default_factory=dict)
    orders: Mapping[StageName, int] = field(default_factory=dict)
    answers: Mapping[StageName, int] = field(default_factory=dict)
    issues: Mapping[Phase, int] = field(default_factory=dict)
    troubles: Mapping[Phase, Trouble] = field(default_factory=dict)

    current: Mapping[StageName, Word] = field(init=False, default_factory=dict)
    """The words that count: not those of a stage that was asked to do the record anew since."""

    @classmethod
    def of(cls, record: Record, orders: Orders, **known: Any) -> Self:
        """Of a record that is whole, with what else is known."""
        sections = {stage: section for stage in STAGES if (section := section_of(record, stage)) is not None}
        return cls(
            known=True,
            registers=record.protocol is not None,
            by_hand=not record.delivery.address,
            words={stage: Word(each.order, each.state, each.code, each.detail) for stage, each in sections.items()},
            orders={stage: orders.of(stage) for stage in STAGES},
            **known,
        )

    def __post_init__(self) -> None:
        current = {stage: word for stage, word in self.words.items() if word.order >= self.orders.get(stage, 1)}
        object.__setattr__(self, "current", current)

    def is_done(self, stage: StageName) -> bool:
        """Whether the stage said yes to the order that stands."""
        word = self.current.get(stage)
        return word is not None and word.state is SectionState.DONE

    @property
    def trouble(self) -> Trouble | None:
        """The failure or deferral that still counts: of the last issue and of the order that stands, and not made good
        by the stage's own word in the same issue. A section of an earlier issue does not make it good: a withdrawal
        can fail although the position is done."""
        last = max(self.issues.values(), default=1)
        for trouble in self.troubles.values():
            fresh = trouble.issue >= last and trouble.order in (0, self.orders.get(trouble.stage, 1))
            answered = self.answers.get(trouble.stage, 0) >= trouble.issue and trouble.stage in self.current
            if fresh and not answered:
                return trouble
        return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and its cause: `code` stable, `detail` the stage's Italian sentence where it gave one."""

    state: State
    stage: StageName | None = None
    code: str = ""
    detail: str = ""


def verdict_of(standing: Standing) -> Verdict:
    """The state and why. Bad news of a later stage comes first; what is withdrawn is neither good nor bad."""
    if _is_withdrawn(standing):
        return Verdict(State.CANCELLED)
    if (halted := _halted(standing)) is not None:
        return halted
    if standing.rejected and not standing.current:
        return Verdict(State.TO_CORRECT)
    return Verdict(_furthest(standing))


def next_stage(standing: Standing, state: State) -> StageName | None:
    """The stage whose turn it is in that state, `None` where nothing more is to do without a person."""
    if not standing.known or state not in UNDER_WAY:
        return None
    wanted = (stage for stage in STAGES if standing.registers or stage is not StageName.PROTOCOL)
    return next((stage for stage in wanted if not standing.is_done(stage)), None)


def _is_withdrawn(standing: Standing) -> bool:
    position, documents = standing.current.get(StageName.IUV), standing.current.get(StageName.RENDER)
    if position is None:
        # a row that never got a number stops with its batch
        return standing.cancelled and not standing.rejected and StageName.DISPATCH not in standing.current
    if documents is not None and documents.state is SectionState.REFUSED:
        return False  # withdrawn because it could not be printed: that is what the clerk must mend
    return position.state is SectionState.WITHDRAWN


def _halted(standing: Standing) -> Verdict | None:
    for stage in reversed(STAGES):
        word = standing.current.get(stage)
        if word is not None and word.state is SectionState.REFUSED:
            return Verdict(State.TO_CORRECT, stage, word.code, word.detail)
        if word is not None and word.state is SectionState.UNCERTAIN:
            state = State.TO_VERIFY if stage is StageName.DISPATCH else State.STUCK
            return Verdict(state, stage, word.code, word.detail)
    if (trouble := standing.trouble) is not None and trouble.kind is TroubleKind.PARKED:
        state = State.PAID if trouble.code == ALREADY_PAID else State.STUCK
        return Verdict(state, trouble.stage, trouble.code)
    return None


def _furthest(standing: Standing) -> State:
    if standing.is_done(StageName.DISPATCH):
        return State.SENT
    if standing.is_done(StageName.PROTOCOL):
        return State.BY_HAND if standing.by_hand else State.REGISTERED
    if standing.is_done(StageName.RENDER):
        return State.BY_HAND if standing.by_hand and not standing.registers else State.GENERATED
    return State.READY
