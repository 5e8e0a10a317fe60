"""Fakes of what stands around the code under test: a stage, a broker that takes what is published, a clock."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import Session, SQLModel

from shared.bus.delivery import Delivery
from shared.contracts.base import StageName
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope
from shared.contracts.facts import NoticeSent, RecordFact, SendingRefused, SendingUncertain
from shared.contracts.record import SectionState, Sending
from shared.db.ledger import LedgerRow, suspects_table
from shared.stage import Deferred, Done, Outcome, Request, Uncertain, Work

Answer = Outcome | BaseException | Callable[[Work[Any]], Outcome]
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Killed(BaseException):
    """What a `kill -9` is to the code: no handler catches it."""


class Clock:
    """A clock that somebody sets."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **parts: float) -> None:
        """As `timedelta` takes them."""
        self.time += timedelta(**parts)


class Out:
    """Takes what is published. While `away`, the broker does not answer."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.away = False
        self._lock = threading.Lock()

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        if self.away:
            raise ConnectionError
        with self._lock:
            self.envelopes.extend(envelopes)

    def take(self) -> list[Message]:
        """What was published since the last time."""
        return [envelope.message() for envelope in self.take_envelopes()]

    def take_envelopes(self) -> list[Envelope]:
        """The same, as it travels."""
        with self._lock:
            taken, self.envelopes = self.envelopes, []
        return taken


def delivered(
    message: Message, *, source: str = "ingest", earlier: int = 0, restated: bool = False, user: str = "",
    id: UUID | None = None,
) -> Delivery:  # fmt: skip
    """A message in hand; on RabbitMQ, of `user`."""
    envelope = Envelope.of(message, source=source, id=id or uuid4(), restated=restated)
    return Delivery(replace(envelope, user=user), message, earlier)


class FakeBase(SQLModel, registry=registry()):
    """The fake stage's own tables."""

    metadata: ClassVar[MetaData] = MetaData(schema="fake")


suspects_table(FakeBase.metadata)


class FakeRow(LedgerRow, FakeBase, table=True):
    """A ledger row with something that is reserved."""

    __tablename__ = "ledger"

    number: int = 0


class FakeStage:
    """A stage named dispatch. Its acts happen in `outside`, once per entry; `script` says what an act answers, by the
    record's row: at first the first answer, then the next, at last (and for others) `Done`."""

    name: ClassVar[StageName] = StageName.DISPATCH
    row_type = FakeRow
    lease_seconds = 60.0
    states: Mapping[SectionState, type[RecordFact]] = {
        SectionState.DONE: NoticeSent,
        SectionState.REFUSED: SendingRefused,
        SectionState.UNCERTAIN: SendingUncertain,
    }

    def __init__(self, *, lookable: bool = True, connections: int = 1) -> None:
        self.lookable = lookable
        self.connections = connections
        self.outside: list[tuple[int, int]] = []
        """(row, order) of each act that happened."""
        self.looked: list[int] = []
        self.before_mark: Callable[[Work[FakeRow]], None] = lambda _work: None
        self.broken_rows: set[int] = set()
        """Rows whose `acted_on` has a bug."""
        self.unreservable_rows: set[int] = set()
        self.unlookable_rows: set[int] = set()
        self._numbers = 0
        self._script: dict[int, list[Answer]] = defaultdict(list)

    def script(self, row: int, *answers: Answer) -> None:
        """What the next acts on a row come to."""
        self._script[row].extend(answers)

    def lane(self, request: Request) -> str:
        return f"mailbox-{request.record.delivery.channel.value}"

    def acted_on(self, request: Request) -> object:
        if request.record.row in self.broken_rows:
            raise KeyError(request.record.row)
        return request.record.delivery.address

    def reserve(self, session: Session, works: Sequence[Work[FakeRow]]) -> None:
        for work in works:
            if work.request.record.row in self.unreservable_rows:
                raise KeyError(work.request.record.row)
            self.renew(session, work)

    def renew(self, session: Session, work: Work[FakeRow]) -> None:
        self._numbers += 1
        work.row.number = self._numbers

    def act(self, works: Sequence[Work[FakeRow]]) -> Sequence[Outcome]:
        return [self._act(work) for work in works]

    def act_once(self, work: Work[FakeRow], mark: Callable[[], bool]) -> Outcome:
        self.before_mark(work)
        if not mark():
            return Deferred(NOON + timedelta(seconds=60), "leased")
        return self._act(work)

    def look(self, work: Work[FakeRow]) -> Outcome | None:
        row = work.request.record.row
        self.looked.append(row)
        if row in self.unlookable_rows:
            raise KeyError(row)
        return self.done(work) if self.lookable and (row, work.request.order) in self.outside else None

    def done(self, work: Work[FakeRow]) -> Done:
        """It happened, under the number that was reserved."""
        order = work.request.order
        return Done(Sending(order=order, state=SectionState.DONE, message_id=f"number-{work.row.number}"))

    def happened(self, work: Work[FakeRow]) -> None:
        """Enter it outside."""
        self.outside.append((work.request.record.row, work.request.order))

    def _act(self, work: Work[FakeRow]) -> Outcome:
        scripted = self._script[work.request.record.row]
        answer = scripted.pop(0) if scripted else self.done(work)
        if isinstance(answer, BaseException):
            raise answer
        outcome = answer(work) if callable(answer) else answer
        if isinstance(outcome, Done | Uncertain):
            self.happened(work)
        return outcome


def unclear(code: str = "no-answer", order: int = 1) -> Uncertain:
    """It may have happened."""
    return Uncertain(Sending(order=order, state=SectionState.UNCERTAIN, code=code))


def ids(messages: Sequence[RecordFact]) -> list[UUID]:
    """The records that facts are about."""
    return [message.record.id for message in messages]
