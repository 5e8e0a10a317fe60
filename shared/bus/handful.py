"""What one handful of requests comes to: who is looked at, who is acted on, what is said of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.bus.moves import Key
from shared.bus.statements import Statements
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Fact
from shared.stage import Deferred, Outcome, Permanent, Request, Transient, Work


@dataclass(slots=True)
class Handful:
    """`state`: works whose rows are to be stated as they stand at the end; `repeated` of them had come to it before."""

    statements: Statements
    state: list[Work[Any]] = field(default_factory=list)
    look: list[Work[Any]] = field(default_factory=list)
    act: list[Work[Any]] = field(default_factory=list)
    facts: list[tuple[Fact, Request]] = field(default_factory=list)
    repeated: int = 0

    def repeat(self, work: Work[Any]) -> None:
        """It was done before: only said again."""
        self.repeated += 1
        self.state.append(work)

    def say(self, fact: Fact, request: Request) -> None:
        """A fact about the request."""
        self.facts.append((fact, request))

    def fail(self, request: Request, code: str, *, permanent: bool) -> None:
        """Nothing happened."""
        self.say(self.statements.failure(request, code, permanent=permanent), request)

    def defer(self, request: Request, until: datetime, why: str) -> None:
        """Not before `until`."""
        self.say(self.statements.deferral(request, Deferred(until, why)), request)

    def conclude(self, work: Work[Any], outcome: Outcome, closed_until: datetime | None) -> None:
        """What an outcome says. `closed_until`: of the lane, where it is closed."""
        match outcome:
            case Transient(lane=True) if closed_until is not None:  # an outage is nobody's failure
                self.defer(work.request, closed_until, "lane-closed")
            case Transient(code):
                self.fail(work.request, code, permanent=False)
            case Permanent(code):
                self.fail(work.request, code, permanent=True)
            case Deferred(until, why):
                self.defer(work.request, until, why)
            case _:
                self.state.append(work)

    def envelopes(self, causes: dict[Key, Envelope]) -> list[Envelope]:
        """All that is said, each fact with the message that led to it."""
        self.statements.count(self.state, self.repeated)
        stated = [(self.statements.section(work), work.request) for work in self.state]
        return [
            self.statements.envelope(fact, request.record.batch_id, causes[request.key])
            for fact, request in (*stated, *self.facts)
        ]
