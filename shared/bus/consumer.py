"""Consuming in handfuls: the connection's thread only drains and acks; a worker thread handles.

A handful is up to `size` messages, or what came within `linger` seconds of the first. When the handler returns, the whole
handful is let go. When it raises, something of ours is away (database, broker, store): the worker keeps the handful, says
so, and tries it again until it works; an outage is nobody's failure.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from kombu import Connection, Consumer
from kombu import Message as Delivered

from shared.bus.connection import Broker
from shared.bus.topology import Topology
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope

log = structlog.get_logger()
DRAIN_SECONDS = 0.02
RECONNECT_SECONDS = 1.0
OUTAGE_SECONDS = (0.2, 1.0, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in hand. `earlier` counts the deliveries before this one, where the broker tells."""

    envelope: Envelope
    message: Message
    earlier: int = 0


Handle = Callable[[Sequence[Delivery]], None]


class Subscription:
    """One queue of the topology, handled by `handle`."""

    def __init__(
        self,
        broker: Broker,
        topology: Topology,
        queue_name: str,
        handle: Handle,
        *,
        size: int = 50,
        linger: float = 0.02,
    ) -> None:
        self._broker = broker
        self._topology = topology
        self.name = queue_name
        self._handle = handle
        self._size = size
        self._linger = linger
        self._inbox: queue.Queue[Delivered] = queue.Queue()
        self._outbox: queue.Queue[tuple[Delivered, bool]] = queue.Queue()
        self._stopping = threading.Event()
        self.trouble = ""
        """The type of the error for which a handful is held."""
        self._threads = [
            threading.Thread(target=self._drain, name=f"{queue_name}-connection", daemon=True),
            threading.Thread(target=self._work, name=f"{queue_name}-worker", daemon=True),
        ]

    def start(self) -> None:
        """Begin to consume."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the handful in hand and leave."""
        self._stopping.set()
        for thread in reversed(self._threads):
            thread.join(timeout)

    @property
    def idle(self) -> bool:
        """Nothing in hand, nothing waiting to be acked."""
        return self._inbox.unfinished_tasks == 0 and self._outbox.unfinished_tasks == 0

    # -- the connection's thread

    def _drain(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._broker.connect() as connection:
                    self._drain_connection(connection)
            except Exception:
                # Whatever a transport raises, a queue without a consumer would be a silent end.
                log.exception("bus.connection-lost", queue=self.name)
                self._stopping.wait(RECONNECT_SECONDS)

    def _drain_connection(self, connection: Connection) -> None:
        self._forget()
        channel = connection.channel()
        consumer = Consumer(
            channel,
            queues=[self._topology.queue(self.name)],
            on_message=self._inbox.put,
            prefetch_count=self._size,
            auto_declare=False,
        )
        try:
            with consumer:
                while not (self._stopping.is_set() and not self._threads[1].is_alive()):
                    self._settle(channel)
                    with suppress(socket.timeout):
                        connection.drain_events(timeout=DRAIN_SECONDS)
                self._settle(channel)
        finally:
            # What is not handled is for others. RabbitMQ gives it to them of itself; the in-memory transport drops it.
            with suppress(Exception):
                consumer.recover(requeue=True)

    def _forget(self) -> None:
        """What a lost connection delivered and nobody took yet: the broker delivers it again."""
        with suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()
                self._inbox.task_done()

    def _settle(self, channel: Any) -> None:
        """Let go of what was handled. A lost connection's deliveries cannot be acked any more: they come again."""
        with suppress(queue.Empty):
            while True:
                delivered, readable = self._outbox.get_nowait()
                try:
                    if delivered.channel is not channel:
                        continue
                    if readable:
                        delivered.ack()
                    else:
                        self._set_aside(delivered)
                finally:
                    self._outbox.task_done()

    def _set_aside(self, delivered: Delivered) -> None:
        """To the unreadable queue ourselves: in-memory transports ignore dead-lettering without a word."""
        target = self._topology.unreadable_name(self.name)
        delivered.channel.basic_publish(
            delivered.channel.prepare_message(
                delivered.body, content_type=delivered.content_type, content_encoding=delivered.content_encoding,
                headers=delivered.headers, properties={"delivery_mode": 2},
            ),
            exchange="", routing_key=target,
        )  # fmt: skip
        delivered.ack()

    # -- the worker's thread

    def _work(self) -> None:
        while not self._stopping.is_set():
            taken = self._take()
            try:
                self._handle_handful(taken)
            finally:
                for _ in taken:
                    self._inbox.task_done()

    def _take(self) -> list[Delivered]:
        try:
            taken = [self._inbox.get(timeout=0.1)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + self._linger
        while len(taken) < self._size:
            try:
                taken.append(self._inbox.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return taken

    def _handle_handful(self, taken: list[Delivered]) -> None:
        readable: list[Delivered] = []
        deliveries: list[Delivery] = []
        for delivered in taken:
            try:
                deliveries.append(_read(delivered))
                readable.append(delivered)
            except Exception as error:  # whatever is wrong with it, it is about this message alone
                log.warning("bus.unreadable-message", queue=self.name, error=type(error).__name__)
                self._outbox.put((delivered, False))
        if deliveries and not self._until_it_works(deliveries):
            return
        for delivered in readable:
            self._outbox.put((delivered, True))

    def _until_it_works(self, deliveries: list[Delivery]) -> bool:
        attempt = 0
        while True:
            try:
                self._handle(deliveries)
            except Exception as error:
                self.trouble = type(error).__name__
                log.exception("bus.handful-held", queue=self.name, attempt=attempt)
                if self._stopping.wait(OUTAGE_SECONDS[min(attempt, len(OUTAGE_SECONDS) - 1)]):
                    return False
                attempt += 1
            else:
                self.trouble = ""
                return True


def _read(delivered: Delivered) -> Delivery:
    """An envelope and its message. Raises what makes a body unreadable."""
    body = delivered.body if isinstance(delivered.body, bytes) else str(delivered.body).encode()
    headers: dict[str, Any] = dict(delivered.headers or {})
    properties: dict[str, Any] = dict(delivered.properties or {})
    moment = headers.get("cloudEvents_time")
    envelope = Envelope(
        id=str(headers.get("cloudEvents_id") or properties.get("message_id") or ""),
        key=str(delivered.delivery_info.get("routing_key", "")),
        exchange=str(delivered.delivery_info.get("exchange", "")).rpartition(".")[2],
        source=str(headers.get("cloudEvents_source", "")).rpartition("/")[2],
        time=_time(moment),
        body=body,
        correlation=str(properties.get("correlation_id") or ""),
        causation=str(headers.get("cloudEvents_causationid", "")),
        traceparent=str(headers.get("cloudEvents_traceparent", "")),
    )
    return Delivery(envelope, envelope.message(), int(headers.get("x-delivery-count") or 0))


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
