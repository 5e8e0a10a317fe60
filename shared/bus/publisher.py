"""Publishing: in parcels, persistent, mandatory, confirmed in windows, with a time-out, on a connection of its own.

(A confirmed publish on the consumer's connection nests callbacks and can wait for ever.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kombu import Connection

from shared.bus.connection import Broker
from shared.bus.measured import publishing
from shared.bus.outages import OUTAGES, NotTaken, Unroutable
from shared.bus.parcels import parcels, posted
from shared.bus.topology import EXCHANGES, Topology
from shared.contracts.envelope import Envelope

CONFIRM_SECONDS = 30.0
WINDOW = 100
"""Messages on their way at once. More gain nothing measurable, and all of them are in doubt when the broker dies."""
OPTIONAL = frozenset({"outcomes"})
"""Exchanges whose readers may not be there: other systems come and go."""


class Publisher:
    """One connection, usable from several threads one at a time."""

    def __init__(self, broker: Broker, topology: Topology, *, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        self._broker = broker
        self._topology = topology
        self._confirm_seconds = confirm_seconds
        self._lock = threading.Lock()
        self._line: Line | None = None

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish all, in the order of `parcels`, and return when the broker has them. Raises `OUTAGES`; on an error nothing is known of
        the last ones: publish again, consumers know repeats by their ids."""
        with self._lock, publishing(envelopes) as traced:
            old = self._line
            try:
                self._publish(traced)
            except NotTaken:
                self._drop()
                raise
            except OUTAGES:
                self._drop()
                if old is None:
                    raise
                # The broker may have gone and come back while nothing was published: that is no outage yet.
                self._publish_anew(traced)
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            line, self._line = self._line, None
            if line is not None:
                with suppress(*OUTAGES):
                    line.connection.release()

    def _publish_anew(self, envelopes: Sequence[Envelope]) -> None:
        try:
            self._publish(envelopes)
        except BaseException:
            self._drop()
            raise

    def _publish(self, envelopes: Sequence[Envelope]) -> None:
        if self._line is None:
            connection = self._broker.connect(f"{self._topology.namespace} publisher", ticks=False)
            kind = Line if self._broker.in_memory else ConfirmedLine
            self._line = kind(connection, self._topology, self._broker.user)
        packed = list(parcels(envelopes))
        for start in range(0, len(packed), WINDOW):
            self._line.publish(packed[start : start + WINDOW], self._confirm_seconds)

    def _drop(self) -> None:
        """Without the closing handshake, which a broker that stands still never answers."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(*OUTAGES):
                line.connection.collect()


class Line:
    """A channel for publishing over a transport without confirms."""

    def __init__(self, connection: Connection, topology: Topology, user: str) -> None:
        self.connection = connection
        self._channel: Any = connection.channel()
        self._exchanges = {name: topology.exchange(name).name for name in EXCHANGES}
        self._user = user

    def publish(self, packed: Sequence[Sequence[Envelope]], seconds: float) -> None:  # noqa: ARG002 - nothing to wait for
        """Parcels, in order."""
        for parcel in packed:
            self._send(parcel)

    def _send(self, parcel: Sequence[Envelope]) -> None:
        """All of a parcel have the first one's exchange, key and source."""
        envelope, out = parcel[0], posted(parcel)
        properties = {
            "delivery_mode": 2,
            "message_id": out.id,
            "correlation_id": out.correlation,
            "type": f"it.staffetta.{envelope.key}",
            "app_id": envelope.source,
        }
        if self._user:
            properties["user_id"] = self._user
        message = self._channel.prepare_message(
            out.body, priority=0, content_type=out.content_type, content_encoding="utf-8",
            headers=dict(out.headers), properties=properties,
        )  # fmt: skip
        exchange = self._exchanges[envelope.exchange]
        mandatory = envelope.exchange not in OPTIONAL
        self._channel.basic_publish(message, exchange=exchange, routing_key=envelope.key, mandatory=mandatory)


class ConfirmedLine(Line):
    """A channel whose broker answers for each message: taken, refused, or returned for want of a queue."""

    def __init__(self, connection: Connection, topology: Topology, user: str) -> None:
        super().__init__(connection, topology, user)
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._returned)
        self._sent = 0
        self._open: set[int] = set()
        self._refused: NotTaken | None = None

    def publish(self, packed: Sequence[Sequence[Envelope]], seconds: float) -> None:
        """One window: all go, then all answers are awaited. Raises `NotTaken` after `seconds`, or when one is not taken."""
        for parcel in packed:
            self._sent += 1
            self._open.add(self._sent)  # before it goes: a confirm may be read while the next one is written
            self._send(parcel)
        deadline = time.monotonic() + seconds
        while self._open:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotTaken("no confirm in time")
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=left)
        if self._refused is not None:
            raise self._refused

    def _acked(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._open = {each for each in self._open if each > tag}
        else:
            self._open.discard(tag)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._refused = NotTaken("refused by the broker")
        self._acked(tag, multiple)

    def _returned(self, _error: Exception, exchange: str, routing_key: str, _message: object) -> None:
        self._refused = Unroutable(f"{exchange} {routing_key}")
