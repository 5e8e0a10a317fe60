"""The life of a process: assemble, wait for the topology, take messages, leave when asked."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

import structlog
from sqlalchemy import text

from shared import metrics, tracing
from shared.bus.consumer import Handle, Subscription
from shared.bus.outages import OUTAGES, wait_seconds
from shared.bus.reading import Read
from shared.contracts.envelope import Envelope
from shared.process.clock import Clock
from shared.process.health import OK, Health, ready
from shared.process.parts import Part, Service, Surroundings
from shared.process.setting_up import WrongSetting
from shared.wiring import Consumes

log = structlog.get_logger()
LEAVE_SECONDS = 9.0
"""From the signal to the end, whatever is still in hand; what waits for it (systemd, a container engine) gives ten."""
CLOCK_SECONDS = 2.0
"""For the tick in hand: one that is cut is repeated at the next start."""


class Life:
    """One run of one service."""

    def __init__(self, service: Service, around: Surroundings) -> None:
        self._service = service
        self._around = around
        self._stopping = threading.Event()
        self._subscriptions: list[Subscription] = []
        self._part: Part | None = None
        self._clock: Clock | None = None
        self._standing = False
        self._asked_at = 0.0
        around.troubles = self.troubles

    def run(self) -> int:
        """Until SIGTERM or SIGINT; a second one ends it at once. The exit code."""
        tracing.configure(f"staffetta-{self._service.name}")
        with self._signals(), self._health():
            log.info("process.started", service=self._service.name, owner=self._around.owner)
            part = self._assembled()
            if part is not None:
                part.start()
                if self._await_topology():
                    self._work(part)
                part.leave()
                self._let_go()
            self._leave()
        log.info("process.left", service=self._service.name)
        return 0

    def troubles(self) -> dict[str, str]:
        """Queue → what keeps its worker from going on."""
        return {each.name: each.trouble for each in self._subscriptions if each.trouble}

    # -- coming

    def _assembled(self) -> Part | None:
        """The service, once what it stands on answers; `None` where the end came first."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                if self._part is None:
                    self._part = self._service.assemble(self._around)
                    self._around.held.callback(self._part.close)
                self._part.database.check_revision()
            except OUTAGES as error:
                log.warning("process.waits-for-database", service=self._service.name, error=type(error).__name__)
                self._stopping.wait(wait_seconds(attempt))
                attempt += 1
            else:
                return self._part
        return None

    def _await_topology(self) -> bool:
        """Nobody publishes before every queue stands, or a fact that only some get would be confirmed all the same."""
        self._around.topology.await_standing(self._around.broker, self._stopping)
        self._standing = not self._stopping.is_set()
        return self._standing

    def _work(self, part: Part) -> None:
        gc.collect()
        gc.freeze()  # what stands now stays to the end: it need not be looked at again for each handful
        self._clock = Clock(part.ticks, part.recover, self._stopping)
        for consumes, handle in part.handlers.items():
            read = part.readers.get(consumes.queue, Envelope.message)
            self._subscriptions += [self._subscription(consumes, handle, read) for _ in range(consumes.consumers)]
        for subscription in self._subscriptions:
            subscription.start()
        self._clock.start()
        self._stopping.wait()

    def _subscription(self, consumes: Consumes, handle: Handle, read: Read) -> Subscription:
        return Subscription(
            self._around.broker,
            self._around.topology,
            consumes.queue,
            handle,
            size=consumes.size,
            linger=consumes.linger,
            on_topology_lost=self._recover,
            read=read,
        )

    def _recover(self) -> None:
        if self._clock is not None:
            self._clock.recover()

    # -- leaving

    def _let_go(self) -> None:
        """Finish the handfuls in hand, side by side."""
        with ThreadPoolExecutor(len(self._subscriptions) or 1) as pool:
            list(pool.map(lambda each: each.stop(self._left()), self._subscriptions))
        if self._clock is not None:
            self._clock.join(min(CLOCK_SECONDS, self._left()))

    def _left(self) -> float:
        return max(0.1, self._asked_at + LEAVE_SECONDS - time.monotonic())

    def _leave(self) -> None:
        self._around.held.close()
        tracing.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def asked(number: int, _frame: FrameType | None) -> None:
            if self._stopping.is_set():
                os._exit(128 + number)
            self._asked_at = time.monotonic()
            self._stopping.set()
            threading.Thread(target=self._out_of_time, name="out-of-time", daemon=True).start()

        before = {each: signal.signal(each, asked) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _out_of_time(self) -> None:
        """What is still in hand is not acked: the broker gives it to another, and the ledger knows how far it came."""
        time.sleep(LEAVE_SECONDS)
        log.warning("process.left-with-work-in-hand", service=self._service.name)
        os._exit(0)

    # -- being asked

    @contextmanager
    def _health(self) -> Iterator[None]:
        settings = self._around.settings
        if settings.health_port is None:
            yield
            return
        metrics.READY.labels(self._service.name).set_function(lambda: ready(self._checks()))
        try:
            health = Health(settings.health_host, settings.health_port, self._checks, metrics.text)
        except OSError as error:
            raise WrongSetting(
                f"Il servizio non può rispondere su {settings.health_host}:{settings.health_port} ({error.strerror}): cambiare "
                "STAFFETTA_HEALTH_HOST o STAFFETTA_HEALTH_PORT."
            ) from error
        log.info("process.health", service=self._service.name, port=health.port)
        try:
            yield
        finally:
            health.close()

    def _checks(self) -> Mapping[str, str]:
        """What is looked at → `ok` or what is wrong."""
        checks = {"database": _checked(self._database), "topology": OK if self._standing else "missing"}
        for each in self._subscriptions:
            if each.trouble:
                checks[each.name] = "held"
            elif not each.connected:
                checks[each.name] = "disconnected"
        if self._stopping.is_set():
            checks["process"] = "leaving"
        return checks

    def _database(self) -> None:
        if self._part is None:
            raise RuntimeError
        with self._part.database.read() as session:
            session.connection().execute(text("SELECT 1"))


def _checked(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:
        log.warning("process.not-ready", error=type(error).__name__)
        return "unavailable"
    return OK
