"""Publishing: persistent, mandatory, confirmed, with a time-out, on a connection of its own.

(A confirmed publish on the consumer's connection nests callbacks and can wait for ever.)
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from kombu import Connection, Producer

from shared.bus.connection import Broker
from shared.bus.topology import Topology
from shared.contracts.envelope import CONTENT_TYPE, Envelope

CONFIRM_SECONDS = 30.0


class Publisher:
    """One connection, usable from several threads one at a time."""

    def __init__(self, broker: Broker, topology: Topology) -> None:
        self._broker = broker
        self._topology = topology
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish all, in order, and return when the broker has them. On an error nothing is known of the last ones:
        publish again, consumers know repeats by their ids."""
        with self._lock:
            try:
                for envelope in envelopes:
                    self._publish(envelope)
            except Exception:
                self._drop()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _publish(self, envelope: Envelope) -> None:
        self._open().publish(
            envelope.body,
            exchange=self._topology.exchange(envelope.exchange),
            routing_key=envelope.key,
            headers=envelope.cloud_headers(),
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=2,
            mandatory=True,
            message_id=envelope.id,
            correlation_id=envelope.correlation,
            type=f"it.staffetta.{envelope.key}",
            app_id=envelope.source,
            confirm_timeout=CONFIRM_SECONDS,
        )

    def _open(self) -> Producer:
        if self._producer is None:
            self._connection = self._broker.connect()
            self._producer = Producer(self._connection.channel(), auto_declare=False)
        return self._producer

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with suppress(OSError, *connection.connection_errors):
                connection.release()
