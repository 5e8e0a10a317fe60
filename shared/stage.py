"""What a stage is to the runner, and what it may answer.

Outcomes are named after what happens next (docs/adr/0004-outcomes.md):

    Done          the section is recorded and stated
    Refused       the business said no: recorded and stated; stops the record, not the batch
    Deferred      not now; the pacer issues it again at `until`; not an attempt
    Transient     nothing happened; the pacer issues it again later; the fourth parks it
    Permanent     a bug or a configuration: parked at once
    Uncertain     the effect may have happened; never repeated by the machine
    Renew         what was reserved proved unusable (a number that is somebody else's): reserve anew, act again
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from shared.contracts.base import StageName
from shared.contracts.commands import RecordCommand
from shared.contracts.facts import RecordFact
from shared.contracts.record import Orders, Record, Section, SectionState

if TYPE_CHECKING:
    from sqlmodel import Session

    from shared.db.ledger import LedgerRow


@dataclass(frozen=True, slots=True)
class Done:
    """It happened. `section.order` is the request's."""

    section: Section


@dataclass(frozen=True, slots=True)
class Refused:
    """No, for good. `code` stable; `detail` Italian, without personal data."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not before `until` (UTC)."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Transient:
    """Nothing happened. `lane`: it says something about the lane, not about this record; five in a row close it.
    `shut`: close it at once (a refused login)."""

    code: str
    lane: bool = False
    shut: bool = False


@dataclass(frozen=True, slots=True)
class Permanent:
    """A bug or a configuration."""

    code: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It may have happened. `section` holds what is known (state UNCERTAIN)."""

    section: Section


@dataclass(frozen=True, slots=True)
class Renew:
    """Reserve again: the reservation is burnt."""

    code: str


Outcome = Done | Refused | Deferred | Transient | Permanent | Uncertain | Renew


@dataclass(frozen=True)
class Request:
    """One record as it was asked of this stage."""

    record: Record
    orders: Orders
    issue: int
    stage: StageName

    @classmethod
    def of(cls, message: RecordCommand | RecordFact, stage: StageName) -> Request:
        """From a command to this stage, or from the fact that triggers it."""
        return cls(message.record, message.orders, message.issue, stage)

    @cached_property
    def order(self) -> int:
        """This stage's order."""
        return self.orders.of(self.stage)

    @cached_property
    def key(self) -> tuple[UUID, int]:
        """(record id, order): the ledger's key."""
        return self.record.id, self.order


R = TypeVar("R", bound="LedgerRow")


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """A request with its ledger row, detached from any session: to read, not to write."""

    request: Request
    row: R


class Stage(Protocol[R]):
    """The plain functions that a service gives to the runner (shared/bus/runner.py); how it acts is said below."""

    name: ClassVar[StageName]
    row_type: type[R]
    lookable: bool
    """Whether an act that was cut can be looked up or safely repeated: the stage is a `LookableStage`. Where not (DATA of an
    e-mail), it is an `UnlookableStage`, and acts one by one."""
    connections: int
    """How many acts at once, for a stage that is not lookable; 1 otherwise."""
    lease_seconds: float
    """Longer than an act's hard time-out."""
    states: Mapping[SectionState, type[RecordFact]]
    """The fact that states each state of this stage's section."""

    def lane(self, request: Request) -> str:
        """What has a pace of its own: a pagoPA key, a mailbox. No personal data."""
        ...

    def acted_on(self, request: Request) -> object:
        """The values this stage acts on, JSON-able: the same (record, order) with others is `Permanent`."""
        ...

    def reserve(self, session: Session, works: Sequence[Work[R]]) -> None:
        """Fill *new* rows (sorted by record id) inside the runner's transaction; may set a row done, with section."""
        ...

    def look(self, work: Work[R]) -> Outcome | None:
        """What the outside world knows of a row that somebody may have acted on; `None`: nothing known."""
        ...


class LookableStage(Stage[R], Protocol[R]):
    """A stage whose act can be looked up or safely repeated: it acts on a handful at once."""

    def renew(self, session: Session, work: Work[R]) -> None:
        """Reserve anew for a row whose act answered `Renew`."""
        ...

    def act(self, works: Sequence[Work[R]]) -> Sequence[Outcome]:
        """The outside world; no transaction is open. One outcome per work, in order."""
        ...


class UnlookableStage(Stage[R], Protocol[R]):
    """A stage whose act cannot be taken back nor looked up."""

    def act_once(self, work: Work[R], mark: Callable[[], bool]) -> Outcome:
        """Act on one work. Call `mark` at the last moment before what cannot be taken back: it sets the row to `acting`,
        with a lease, in a commit of its own. Where it answers `False`, somebody else has the row: do nothing, answer
        `Deferred`."""
        ...
