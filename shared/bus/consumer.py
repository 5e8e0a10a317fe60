"""Consuming in handfuls: the connection's thread only drains and acks; a worker thread handles.

A handful is up to `size` messages, or what came within `linger` seconds of the first; a parcel counts for all that it holds.
When the handler returns, the whole handful is let go. When it raises, something of ours is away (database, broker, store): the
worker keeps it, says so, and tries it again until it works; an outage is nobody's failure. A message that was delivered before
is handled alone, and so is each of a parcel that was.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import structlog
from amqp.exceptions import ConnectionForced, ConsumerCancelled, NotFound
from kombu import Message as Delivered

from shared.bus.connection import Broker
from shared.bus.delivery import Delivery
from shared.bus.link import Link, RabbitLink
from shared.bus.measured import measured
from shared.bus.outages import OUTAGES, until_it_works, wait_seconds
from shared.bus.parcels import items_in
from shared.bus.reading import Read, contents, earlier_deliveries, in_hands
from shared.bus.topology import Topology
from shared.contracts.envelope import Envelope
from shared.metrics import UNREADABLE

log = structlog.get_logger()
IDLE_SECONDS = 0.1
RESTART_SECONDS = 3.0
"""No broker goes and comes back in less. Who did not look for longer, or was told by missing heartbeats, may find another
one, or an empty one, at the first try."""


Handle = Callable[[Sequence[Delivery]], None]


class Subscription:
    """One queue of the topology, handled by `handle`. `on_topology_lost` is called, in a thread of its own and again until
    it does not raise, when the broker was away or had lost its queues, and all stands again: messages may be gone."""

    def __init__(  # noqa: PLR0913 - what it consumes, and three knobs by name
        self,
        broker: Broker,
        topology: Topology,
        queue_name: str,
        handle: Handle,
        *,
        size: int = 50,
        linger: float = 0.02,
        on_topology_lost: Callable[[], None] | None = None,
        read: Read = Envelope.message,
    ) -> None:
        self._broker = broker
        self._topology = topology
        self.name = queue_name
        self._handle = measured(queue_name, handle)
        self._read = read
        self._size = size
        self._linger = linger
        self._on_topology_lost = on_topology_lost
        self._inbox: queue.Queue[Delivered] = queue.Queue()
        self._outbox: queue.Queue[tuple[Delivered, bool]] = queue.Queue()
        self._stopping, self._finished = threading.Event(), threading.Event()
        self._link: Link | None = None
        self._was_connected = self._lost = False
        self._looked = 0.0
        self._recover = threading.Event()
        self.trouble = ""
        """The type of the error for which a handful is held."""
        self._drainer = self._thread(self._drain, "connection")
        self._worker = self._thread(self._work, "worker")
        self._threads = [self._worker, self._drainer]
        if on_topology_lost is not None:
            self._threads.append(self._thread(self._recovering, "recovery"))

    def start(self) -> None:
        """Begin to consume."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the handful in hand and leave. What was delivered and not begun is for others."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._recover.set()
        self._wake()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def connected(self) -> bool:
        """Consuming: the broker is there and has the queue."""
        return self._link is not None

    @property
    def idle(self) -> bool:
        """Nothing in hand, nothing waiting to be acked."""
        return self._inbox.unfinished_tasks == 0 and self._outbox.unfinished_tasks == 0

    def _thread(self, target: Callable[[], None], role: str) -> threading.Thread:
        return threading.Thread(target=target, name=f"{self.name}-{role}", daemon=True)

    # -- the connection's thread

    def _drain(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            try:
                self._forget()
                self._consume()
            except Exception as error:
                # Whatever a transport raises, a queue without a consumer would be a silent end.
                attempt = 0 if self._link is not None else attempt + 1
                self._disconnect()
                trace = None if isinstance(error, OUTAGES) else error  # an outage is told by its name
                log.warning("bus.connection-lost", queue=self.name, error=type(error).__name__, exc_info=trace)
                if isinstance(error, NotFound | ConsumerCancelled):
                    self._lost = True
                    self._topology.await_standing(self._broker, self._stopping)
                elif (
                    attempt or isinstance(error, ConnectionForced) or time.monotonic() > self._looked + RESTART_SECONDS
                ):
                    self._lost = self._lost or self._was_connected  # it was away, perhaps to lose its data
                self._stopping.wait(wait_seconds(attempt))

    def _consume(self) -> None:
        kind = Link if self._broker.in_memory else RabbitLink
        link = self._link = kind(self._broker, self._topology, self.name, self._size, self._inbox.put)
        if self._lost:
            self._lost = False
            self._recover.set()
        self._was_connected = True
        while not self._stopping.is_set():
            self._looked = time.monotonic()
            link.settle(self._handled())
            link.wait()
        link.cancel()
        while not self._finished.is_set():
            link.settle(self._handled())
            link.wait()
        link.settle(self._handled())
        link.close()
        self._link = None

    def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.drop()

    def _forget(self) -> None:
        """What a lost connection delivered and nobody took yet: the broker delivers it again."""
        with suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()
                self._inbox.task_done()

    def _handled(self) -> Iterator[tuple[Delivered, bool]]:
        with suppress(queue.Empty):
            while True:
                handled = self._outbox.get_nowait()
                try:
                    yield handled
                finally:
                    self._outbox.task_done()

    def _wake(self) -> None:
        if (link := self._link) is not None:
            link.wake()

    # -- the recovery's thread

    def _recovering(self) -> None:
        assert self._on_topology_lost is not None
        while not self._stopping.is_set():
            self._recover.wait()
            self._recover.clear()
            if not self._stopping.is_set():
                until_it_works(self._on_topology_lost, self._stopping, lambda _trouble: None, self.name)

    # -- the worker's thread

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._handle_all(self._take())
        finally:
            self._finished.set()
            self._wake()

    def _handle_all(self, taken: list[Delivered]) -> None:
        again = [delivered for delivered in taken if delivered.delivery_info.get("redelivered")]
        try:
            self._handle_handful([delivered for delivered in taken if delivered not in again] if again else taken)
            for delivered in again:  # it may kill whoever takes it
                self._handle_handful([delivered], alone=True)
        finally:
            for _ in taken:
                self._inbox.task_done()

    def _take(self) -> list[Delivered]:
        try:
            taken = [self._inbox.get(timeout=IDLE_SECONDS)]
        except queue.Empty:
            return []
        held = items_in(taken[0])
        deadline = time.monotonic() + self._linger
        while (link := self._link) is not None and len(taken) < link.prefetch and held < self._size:
            try:
                taken.append(self._inbox.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
            held += items_in(taken[-1])
        return taken

    def _handle_handful(self, taken: Sequence[Delivered], *, alone: bool = False) -> None:
        """Everything in it, in hands of up to `size`, or of one. What was not handled at a stop is not let go."""
        opened = [self._opened(delivered) for delivered in taken]
        deliveries = [delivery for held, _ in opened for delivery in held]
        for hand in in_hands(deliveries, 1 if alone else self._size):
            handle = partial(self._handle, hand)
            if self._stopping.is_set() or not until_it_works(handle, self._stopping, self._held, self.name):
                return
        for delivered, (_, sound) in zip(taken, opened, strict=True):
            self._outbox.put((delivered, sound))
        self._wake()

    def _opened(self, delivered: Delivered) -> tuple[list[Delivery], bool]:
        """What can be read of it, and whether that is all."""
        try:
            found, broken = contents(delivered, self._read)
        except Exception as error:  # whatever is wrong with it, it is about this message alone
            UNREADABLE.labels(self.name).inc(items_in(delivered))
            log.warning("bus.unreadable-message", queue=self.name, error=type(error).__name__)
            return [], False
        for message_id in broken:
            UNREADABLE.labels(self.name).inc()
            log.warning("bus.unreadable-message", queue=self.name, message_id=message_id)
        return [Delivery(*each, earlier_deliveries(delivered)) for each in found], not broken

    def _held(self, trouble: str) -> None:
        self.trouble = trouble
