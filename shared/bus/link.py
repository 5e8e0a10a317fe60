"""A consumer's own connection: it takes deliveries in, ticks heartbeats, and lets go of what was handled.

All but `wake` is for the thread that made it.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from kombu import Connection, Consumer
from kombu import Message as Delivered

from shared.bus.connection import Broker
from shared.bus.hand import Hand
from shared.bus.outages import OUTAGES
from shared.bus.parcels import items_in
from shared.bus.reading import leave_as_they_come
from shared.bus.topology import Topology

DRAIN_SECONDS = 0.02
FRAME_SECONDS = 0.05
"""How long the rest of a frame may take before the loop looks elsewhere: heartbeats must not wait for a slow broker."""
HEARTBEATS_PER_INTERVAL = 4
Take = Callable[[Delivered], None]
Handled = Iterable[tuple[Delivered, bool]]
"""Deliveries, and whether they could be read."""


class Link:
    """Over kombu's in-memory transport: no multiple-ack, no dead letters, no count of deliveries."""

    def __init__(self, broker: Broker, topology: Topology, queue: str, size: int, take: Take) -> None:
        self._connection: Connection = broker.connect(f"{topology.namespace}.{queue} consumer")
        self._queue = queue
        self._topology = topology
        self._hand = Hand(size)
        self._take = take
        try:
            self._channel: Any = self._connection.channel()
            self._consumer = Consumer(
                self._channel, queues=[topology.queue(queue)], on_message=self._arrived, auto_declare=False
            )
            self._begin()
        except BaseException:
            self.drop()
            raise

    @property
    def prefetch(self) -> int:
        """As many messages as the broker gives before it wants an ack."""
        return self._hand.prefetch

    def settle(self, handled: Handled) -> None:
        """Let go of what was handled. A delivery of another connection cannot be acked any more: it comes again."""
        for delivered, readable in handled:
            if delivered.channel is self._channel:
                if not readable:
                    self._set_aside(delivered)
                delivered.ack()
                self._hand.let_go([delivered.delivery_tag])

    def wait(self) -> None:
        """Take in what comes, for a moment."""
        with suppress(TimeoutError):
            self._connection.drain_events(timeout=DRAIN_SECONDS)
        if (wanted := self._hand.wanted()) != self._hand.prefetch:
            self._consumer.qos(prefetch_count=wanted)
            self._hand.let_in(wanted)

    def wake(self) -> None:
        """End the moment: there is something to let go of. From any thread."""

    def cancel(self) -> None:
        """Take nothing more in."""
        self._consumer.cancel()

    def close(self) -> None:
        """What was not handled is for others: this transport drops it, unless it is asked to keep it."""
        self._consumer.recover(requeue=True)
        self._connection.release()

    def drop(self) -> None:
        """Leave without the handshakes that a broker which is away never answers."""
        with suppress(*OUTAGES):
            self._connection.collect()

    def _begin(self) -> None:
        self._consumer.qos(prefetch_count=self._hand.prefetch)
        self._consumer.consume()

    def _arrived(self, delivered: Delivered) -> None:
        self._hand.take(delivered.delivery_tag, items_in(delivered), again=False)
        self._take(delivered)

    def _set_aside(self, delivered: Delivered) -> None:
        """To the unreadable queue ourselves: in-memory transports ignore dead-lettering without a word."""
        message = self._channel.prepare_message(
            delivered.body, content_type=delivered.content_type, content_encoding=delivered.content_encoding,
            headers=delivered.headers, properties={"delivery_mode": 2},
        )  # fmt: skip
        self._channel.basic_publish(message, exchange="", routing_key=self._topology.unreadable_name(self._queue))


class RabbitLink(Link):
    """Over RabbitMQ. The prefetch is changed on the same channel, which keeps what is in hand: to give back is to raise its
    count."""

    def _begin(self) -> None:
        self._ending = False
        leave_as_they_come(self._channel)
        self._awake, self._alarm = socket.socketpair()
        self._awake.setblocking(False)
        self._alarm.setblocking(False)
        self._socket = self._connection.connection.sock
        self._said, self._poll = select.poll(), select.poll()
        self._said.register(self._socket, select.POLLIN)
        self._poll.register(self._socket, select.POLLIN)
        self._poll.register(self._awake, select.POLLIN)
        interval = float(self._connection.get_heartbeat_interval() or 0)
        self._tick_seconds = interval / HEARTBEATS_PER_INTERVAL if interval else 1.0
        self._next_tick = 0.0
        super()._begin()

    def settle(self, handled: Handled) -> None:
        """One ack for all that is done from the first delivery on; a single one for what was handled out of turn."""
        done = set()
        for delivered, readable in handled:
            if delivered.channel is not self._channel:
                continue
            tag = delivered.delivery_tag
            if readable:
                done.add(tag)
            else:
                self._hand.let_go([tag])
                self._channel.basic_reject(tag, requeue=False)
        if first := self._hand.done_from_the_first(done):
            self._channel.basic_ack(first[-1], multiple=True)
        for tag in done.difference(first):
            self._channel.basic_ack(tag)
        self._hand.let_go(done)

    def wait(self) -> None:
        """Until something comes, `wake` is called, or a heartbeat is due."""
        self._tick()
        if not self._readable():
            self._poll.poll(min(1.0, self._tick_seconds) * 1000)
        with suppress(BlockingIOError):
            self._awake.recv(4096)
        while self._readable():
            with suppress(TimeoutError):
                self._connection.drain_events(timeout=FRAME_SECONDS)
            self._tick()
        self._adapt()

    def wake(self) -> None:
        """See `Link`."""
        with suppress(OSError):  # full: it is awake; closed: it has nothing to let go of
            self._alarm.send(b"!")

    def cancel(self) -> None:
        """See `Link`."""
        self._ending = True
        super().cancel()

    def close(self) -> None:
        """RabbitMQ gives what was not handled to others of itself."""
        self._connection.release()
        self._silence()

    def drop(self) -> None:
        """See `Link`."""
        super().drop()
        self._silence()

    def _silence(self) -> None:
        for end in ("_awake", "_alarm"):
            if hasattr(self, end):
                getattr(self, end).close()

    def _readable(self) -> bool:
        """Whether the broker said something. (TLS keeps what it decrypted to itself.)"""
        pending = getattr(self._socket, "pending", int)
        if pending():
            return True
        return bool(self._said.poll(0))

    def _tick(self) -> None:
        """Tell the broker that we live, and look whether it does."""
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + self._tick_seconds
            self._connection.heartbeat_check()

    def _arrived(self, delivered: Delivered) -> None:
        self._hand.take(delivered.delivery_tag, items_in(delivered), again=bool(delivered.delivery_info["redelivered"]))
        self._take(delivered)

    def _adapt(self) -> None:
        wanted = self._hand.wanted()
        if wanted == self._hand.prefetch or self._ending:
            return
        self._consumer.cancel()
        self._consumer.qos(prefetch_count=wanted)
        self._consumer.consume()
        self._hand.let_in(wanted)
