"""How to reach the broker: RabbitMQ, or kombu's in-memory transport for the embedded relay."""

from __future__ import annotations

from dataclasses import dataclass

from kombu import Connection

MEMORY = "memory://"
POLL_SECONDS = 0.02
"""kombu's virtual transports look for messages once a second by default: a record would take seconds to cross. Four times
as often as this costs a lasting process twice the CPU when it has nothing to do, and a batch is no faster."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker's URL. Every user of it opens a connection of its own: they are not for sharing between threads."""

    url: str = MEMORY
    heartbeat: int = 30

    def connect(self) -> Connection:
        """A new connection, not yet opened."""
        if self.url.startswith(MEMORY):
            return Connection(self.url, transport_options={"polling_interval": POLL_SECONDS})
        return Connection(self.url, heartbeat=self.heartbeat, transport_options={"confirm_publish": True})
