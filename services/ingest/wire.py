"""The ingest service: its queues' handlers, its clock's ticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlmodel import select

from services.ingest.batches import Batches
from services.ingest.closing import Closing
from services.ingest.control import Control
from services.ingest.gauges import pacer as measured
from services.ingest.intake import NoRequest, decisions, reader
from services.ingest.outcomes import Outcomes
from services.ingest.outgoing import Outgoing
from services.ingest.pacer import Pacer
from services.ingest.progress import Progress
from services.ingest.recovering import Recovering
from services.ingest.refusals import answered
from services.ingest.requests import Requests, plain
from services.ingest.restate import told_again
from services.ingest.settings import IngestSettings
from services.ingest.tables import SCHEMA, Base, Batch
from services.ingest.watchdog import Watchdog
from shared.bus.delivery import Delivery
from shared.contracts.commands import BatchCommand, Message, RequestBatch, Restate
from shared.contracts.envelope import Envelope
from shared.contracts.facts import CommandRefused, CommandTaken, Restated
from shared.db.engine import Database
from shared.ids import derived
from shared.metrics import TICKED, gauges
from shared.wiring import Consumes, Setup

log = structlog.get_logger()
Publish = Callable[[Sequence[Envelope]], None]
CONSUMES = (Consumes("ingest.batches", 1), Consumes("ingest.control", 20), Consumes("ingest.facts", 100))
OURSELVES = frozenset({""})
"""Whoever publishes on the in-memory broker."""


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
    watchdog: Watchdog
    recovering: Recovering
    requests: Requests
    outcomes: Outcomes
    unmeasure: Callable[[], None]
    trusted: frozenset[str] = OURSELVES
    """The users whose spreadsheets and decisions are obeyed: status's, and our own."""
    request_bytes: int = 0
    """The longest body of another system that is read."""

    @property
    def readers(self) -> dict[str, Callable[[Envelope], Message]]:
        """Queue → how its bodies are read, where other systems write them."""
        ours = self.trusted.__contains__
        return {"ingest.batches": reader(ours, self.request_bytes), "ingest.control": decisions(ours)}

    @property
    def handlers(self) -> dict[str, Callable[[Sequence[Delivery]], None]]:
        """Queue → what handles it."""
        return {
            "ingest.batches": self.take_batches,
            "ingest.control": self.take_control,
            "ingest.facts": self.take_facts,
        }

    def take_batches(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.batches`."""
        self._ask()
        for delivery in deliveries:
            match delivery.message:
                case NoRequest() as answered_only:
                    self.requests.refuse(answered_only, delivery.envelope.user, plain(delivery.envelope.id))
                case RequestBatch() as request if delivery.envelope.user in self.trusted:
                    self.batches.take_any(request, delivery.envelope.id)
                case RequestBatch() as request:
                    self.requests.take(request, delivery.envelope.user, plain(delivery.envelope.id))

    def take_control(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.control`."""
        self._ask()
        for delivery in deliveries:
            match delivery.message:
                case Restate() as command:
                    self._restate(command)
                case _ if delivery.envelope.user not in self.trusted:
                    log.warning("ingest.stranger-refused", user=delivery.envelope.user)
                case BatchCommand() as command:
                    self.control.take(command, delivery.envelope.id)

    def take_facts(self, deliveries: Sequence[Delivery]) -> None:
        """The queue `ingest.facts`."""
        self.progress.take([delivery.message for delivery in deliveries])
        self.recovering.hear([each.message for each in deliveries if isinstance(each.message, Restated)])

    def tick(self) -> None:
        """Look for what was lost, issue what has room, state the ends that have come, tell other systems."""
        self.watchdog.tick()
        self.pacer.tick()
        self.closing.tick()
        self.outcomes.tick()
        TICKED.labels("ingest").set_to_current_time()

    def recover(self, *, everything: bool = False) -> int:
        """At start, and after the broker lost its queues: have the unsettled batches (or all) restated, and publish again
        what is still without an answer; how many. Takes up to ten seconds, in which another thread must be taking the
        facts. Raises what the broker and the database raise."""
        self._ask()
        return self.recovering.recover(None if everything else self.unsettled())

    def unsettled(self) -> list[UUID]:
        """The batches of which something may not have come to us yet."""
        return self.recovering.unsettled()

    def batch_ids(self) -> list[UUID]:
        """All batches that were read."""
        with self.database.read() as session:
            return list(session.exec(select(Batch.id).where(Batch.ingested)))

    def answer(self, command_id: UUID) -> CommandTaken | CommandRefused | None:
        """What a command was answered, once it was."""
        with self.database.read() as session:
            return answered(session, command_id)

    def close(self) -> None:
        """Let go of the database."""
        self.unmeasure()
        self.database.close()

    def _ask(self) -> None:
        """Whether an outage still keeps something back: then nothing is begun that would be begun again, and kept again, at
        every try for as long as it lasts."""
        self.publish(())

    def _restate(self, command: Restate) -> None:
        for page in told_again(self.database, command.batch_ids):
            self.publish(page)
        done = Restated(service="ingest", request_id=command.request_id)
        self.publish([Envelope.of(done, source="ingest", id=derived("restated", "ingest", command.request_id))])


def wire(
    setup: Setup, publish: Publish, now: Callable[[], datetime] = utc_now, settings: IngestSettings | None = None,
    trusted: frozenset[str] = OURSELVES,
) -> IngestService:  # fmt: skip
    """Ingest over its database. `trusted`: see `IngestService`."""
    settings = settings or IngestSettings()
    patience = timedelta(seconds=settings.unanswered_seconds)
    database = Database(setup.database_url(SCHEMA), Base.metadata, SCHEMA)
    database.create_all()
    direct, publish = publish, Outgoing(publish)
    pacer = Pacer(database, publish, setup.creditors, now)
    return IngestService(
        database=database,
        publish=publish,
        batches=Batches(database, publish, setup.creditors, setup.documents, now),
        control=Control(database, publish, now),
        progress=Progress(database, publish, now, settings.retry_waits),
        pacer=pacer,
        closing=Closing(database, publish, now, patience),
        watchdog=Watchdog(database, publish, now, settings),
        recovering=Recovering(database, publish, pacer, now, settings.restate_seconds),
        requests=Requests(database, publish, setup.creditors, setup.documents, now),
        outcomes=Outcomes(database, direct, now),
        unmeasure=gauges(lambda: measured(database)),
        trusted=trusted,
        request_bytes=settings.request_bytes,
    )
