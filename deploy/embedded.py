"""The embedded relay: every service as threads of one process, over kombu's in-memory transport and SQLite files.

The same services, messages and ledgers as on RabbitMQ and PostgreSQL; only what holds them differs. The databases alone
rebuild everything: the in-memory broker dies with the process, and at start every service restates what it knows and
ingest publishes again what it had issued.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO
from uuid import uuid4

import structlog

import services.dispatch.wire
import services.ingest.wire
import services.iuv.wire
import services.protocol.wire
import services.render.wire
import services.status.wire
from shared.bus.connection import Broker
from shared.bus.consumer import Handle, Subscription
from shared.bus.delivery import Delivery
from shared.bus.publisher import Publisher
from shared.bus.runner import StageRunner
from shared.bus.topology import Topology
from shared.contracts.commands import Restate
from shared.contracts.envelope import Envelope
from shared.creditors import Creditors
from shared.documents import FolderStore
from shared.metrics import READY
from shared.wiring import Consumes, Setup, StageService

log = structlog.get_logger()
TICK_SECONDS = 0.1
SWEEP_TICKS = 30
NUMBERING = ("iuv", "protocol")
STAGES: dict[str, tuple[Callable[[Setup], StageService], tuple[Consumes, ...]]] = {
    "iuv": (services.iuv.wire.wire, services.iuv.wire.CONSUMES),
    "render": (services.render.wire.wire, services.render.wire.CONSUMES),
    "protocol": (services.protocol.wire.wire, services.protocol.wire.CONSUMES),
    "dispatch": (services.dispatch.wire.wire, services.dispatch.wire.CONSUMES),
}
"""Stage → (its wire, its queues)."""


class FolderInUse(Exception):
    """Another process has the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, for this process alone: whoever holds it may treat the leases of others as run out."""
    folder.mkdir(parents=True, exist_ok=True)
    lock: IO[str] = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as busy:
        lock.close()
        raise FolderInUse(str(folder)) from busy
    try:
        yield
    finally:
        lock.close()


class Relay:
    """All services on one folder. `start`, then `publish` commands; `stop` finishes what is in hand."""

    def __init__(
        self, folder: Path, creditors: Creditors, lasting: Path | None = None, namespace: str = "staffetta"
    ) -> None:
        """`lasting` holds the databases of the services whose numbers outlive a run's folder. `namespace` begins the
        names at the broker, which relays of one process share: each adds something of its own."""
        self.documents = FolderStore(folder / "documents")
        homes = dict.fromkeys(NUMBERING, lasting or folder)
        setup = Setup(creditors, self.documents, lambda name: f"sqlite:///{homes.get(name, folder) / name}.sqlite")
        self._broker = Broker()
        self._topology = Topology(f"{namespace}-{uuid4().hex[:8]}")
        self._subscriptions: list[Subscription] = []
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="pacer", daemon=True)
        self.stages: dict[str, StageService] = {}
        self.runners: dict[str, StageRunner] = {}
        self._held = ExitStack()
        try:
            self._wire(setup)
        except BaseException:
            self._held.close()  # a service that cannot be wired must not leave the others' processes behind
            raise

    def _wire(self, setup: Setup) -> None:
        owner = f"embedded-{os.getpid()}-{uuid4().hex[:8]}"
        self.publish = self._publish()
        self.ingest = services.ingest.wire.wire(setup, self._publish())
        self._held.callback(self.ingest.close)
        self.status = services.status.wire.wire(setup, self._publisher(), troubles=lambda: self.troubles)
        self._held.callback(self.status.close)
        for name, (wire, consumes) in STAGES.items():
            self.stages[name] = wire(setup)
            self._held.callback(self.stages[name].close)
            self.runners[name] = StageRunner(self.stages[name], self._publish(), owner, alive=lambda _owner: False)
            self._held.callback(self.runners[name].close)
            for each in consumes:
                self._subscribe(each, self._own(self.runners[name].handle))
        for each in services.ingest.wire.CONSUMES:
            self._subscribe(each, self.ingest.handlers[each.queue])
        for each in services.status.wire.CONSUMES:
            self._subscribe(each, self._take_status)

    def start(self) -> None:
        """Topology first, then everybody; restate; then publish again what was issued."""
        with self._broker.connect() as connection:
            self._topology.declare(connection)
        for subscription in self._subscriptions:
            subscription.start()
        self.ingest.recover(everything=self.status.empty)  # all, for a status that knows none
        READY.labels("embedded").set_function(lambda: not self.troubles)
        self._ticker.start()

    def stop(self) -> None:
        """Finish the handfuls in hand and let go of everything."""
        self._stopping.set()
        with suppress(RuntimeError):
            self._ticker.join(5.0)
        for subscription in self._subscriptions:
            subscription.stop()
        self._held.close()

    @property
    def idle(self) -> bool:
        """Nothing in any hand (messages may still be in queues for some milliseconds)."""
        return all(subscription.idle for subscription in self._subscriptions)

    @property
    def troubles(self) -> dict[str, str]:
        """Queue → what keeps its worker from going on."""
        return {each.name: each.trouble for each in self._subscriptions if each.trouble}

    # -- inside

    def _own(self, handle: Handle) -> Handle:
        """Of a ledger that outlives this folder only this folder's batches are told here."""

        def handled(deliveries: Sequence[Delivery]) -> None:
            handle([self._narrowed(delivery) for delivery in deliveries])

        return handled

    def _narrowed(self, delivery: Delivery) -> Delivery:
        message = delivery.message
        if isinstance(message, Restate) and message.batch_ids is None:
            message = message.model_copy(update={"batch_ids": self.ingest.batch_ids()})
        return replace(delivery, message=message)

    def _publisher(self) -> Publisher:
        publisher = Publisher(self._broker, self._topology)
        self._held.callback(publisher.close)
        return publisher

    def _publish(self) -> Callable[[Sequence[Envelope]], None]:
        return self._publisher().publish

    def _subscribe(self, each: Consumes, handle: Handle) -> None:
        for _ in range(each.consumers):
            self._subscriptions.append(
                Subscription(self._broker, self._topology, each.queue, handle, size=each.size, linger=each.linger)
            )

    def _take_status(self, deliveries: Sequence[Delivery]) -> None:
        self.status.take([delivery.envelope for delivery in deliveries])

    def _tick(self) -> None:
        ticks = 0
        sweeps = [self.status.sweep, *(runner.sweep for runner in self.runners.values())]
        while not self._stopping.wait(TICK_SECONDS):
            ticks += 1
            for work in (self.ingest.tick, *(sweeps if ticks % SWEEP_TICKS == 0 else ())):
                try:
                    work()
                except Exception:
                    log.exception("relay.tick-failed")
