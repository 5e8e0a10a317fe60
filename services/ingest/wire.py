"""The ingest service: its queues' handlers, its clock's ticks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import exists, or_
from sqlmodel import col, select

from services.ingest.batches import Batches
from services.ingest.closing import Closing
from services.ingest.control import Control
from services.ingest.model import RowState
from services.ingest.outgoing import Outgoing
from services.ingest.pacer import Pacer
from services.ingest.progress import Progress
from services.ingest.refusals import answered
from services.ingest.restate import restated
from services.ingest.tables import SCHEMA, SENT, Base, Batch, Row
from shared.bus.consumer import Delivery
from shared.contracts.commands import BatchCommand, RequestBatch, Restate
from shared.contracts.envelope import Envelope
from shared.contracts.facts import CommandRefused, CommandTaken, Restated
from shared.db.engine import Database
from shared.ids import derived
from shared.wiring import Setup

Publish = Callable[[Sequence[Envelope]], None]


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class IngestService:
    """Ingest, ready: each `take_*` handles one queue's handful; `tick` issues and closes."""

    database: Database
    publish: Publish
    batches: Batches
    control: Control
    progress: Progress
    pacer: Pacer
    closing: Closing
    _restated: dict[UUID, set[str]] = field(default_factory=dict)
    _heard: threading.Condition = field(default_factory=threading.Condition)

    def take_batches(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.batches`."""
        for delivery in deliveries:
            assert isinstance(delivery.message, RequestBatch)
            self.batches.take(delivery.message, delivery.envelope.id)

    def take_control(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.control`."""
        for delivery in deliveries:
            match delivery.message:
                case Restate() as command:
                    self._restate(command)
                case BatchCommand() as command:
                    self.control.take(command, delivery.envelope.id)

    def take_facts(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.facts`."""
        self.progress.take([delivery.message for delivery in deliveries])
        with self._heard:
            for delivery in deliveries:
                if isinstance(delivery.message, Restated):
                    self._restated.setdefault(delivery.message.request_id, set()).add(delivery.message.service)
                    self._heard.notify_all()

    def tick(self) -> None:
        """Issue what has room, state the ends that have come."""
        self.pacer.tick()
        self.closing.tick()

    def unsettled(self) -> list[UUID]:
        """The batches of which something may not have come to us yet: not at their end, or with records in doubt."""
        doubtful = exists().where(col(Row.state) == RowState.UNCERTAIN.value, col(Row.batch_id) == col(Batch.id))
        with self.database.read() as session:
            return list(session.exec(select(Batch.id).where(Batch.ingested, or_(col(Batch.stated) != SENT, doubtful))))

    def batch_ids(self) -> list[UUID]:
        """All batches that were read."""
        with self.database.read() as session:
            return list(session.exec(select(Batch.id).where(Batch.ingested)))

    def await_restated(self, request_id: UUID, services: Sequence[str], seconds: float) -> bool:
        """Wait until these services have restated; whether they did in time."""
        with self._heard:
            return self._heard.wait_for(lambda: self._restated.get(request_id, set()) >= set(services), seconds)

    def republish(self) -> int:
        """Publish again what was issued when the broker was lost."""
        return self.pacer.republish()

    def answer(self, command_id: UUID) -> CommandTaken | CommandRefused | None:
        """What a command was answered, once it was."""
        with self.database.read() as session:
            return answered(session, command_id)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def _restate(self, command: Restate) -> None:
        for facts in restated(self.database, command.batch_ids):
            self.publish(
                [
                    Envelope.of(fact, source="ingest", correlation=getattr(fact, "batch_id", ""), restated=True)
                    for fact in facts
                ]
            )
        done = Restated(service="ingest", request_id=command.request_id)
        self.publish([Envelope.of(done, source="ingest", id=derived("restated", "ingest", command.request_id))])


def wire(setup: Setup, publish: Publish, now: Callable[[], datetime] = utc_now) -> IngestService:
    """Ingest over its database."""
    database = Database(setup.database_url(SCHEMA), Base.metadata, SCHEMA)
    database.create_all()
    publish = Outgoing(publish)
    return IngestService(
        database=database,
        publish=publish,
        batches=Batches(database, publish, setup.creditors, setup.documents, now),
        control=Control(database, publish, now),
        progress=Progress(database, publish, now),
        pacer=Pacer(database, publish, now),
        closing=Closing(database, publish, now),
    )
