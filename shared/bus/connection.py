"""How to reach the broker: RabbitMQ, or kombu's in-memory transport for the embedded relay."""

from __future__ import annotations

from dataclasses import dataclass, field

from kombu import Connection
from kombu.utils.url import url_to_parts

MEMORY = "memory://"
POLL_SECONDS = 0.02
"""kombu's virtual transports look for messages once a second by default: a record would take seconds to cross. Four times
as often as this costs a lasting process twice the CPU when it has nothing to do, and a batch is no faster."""
CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 10.0
"""How long a method call (declare, consume, close) waits for its answer: a broker that stands still is an outage too."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker's URL. Every user of it opens a connection of its own: they are not for sharing between threads."""

    url: str = field(default=MEMORY, repr=False)
    heartbeat: int = 30

    @property
    def in_memory(self) -> bool:
        """No confirms, no redelivery, no dead letters: what kombu's virtual transports ignore without a word."""
        return self.url.startswith(MEMORY)

    @property
    def user(self) -> str:
        """Who we are at the broker, which checks `user_id` against it; "" where nobody does."""
        return "" if self.in_memory else str(url_to_parts(self.url).username or "guest")

    def connect(self, purpose: str = "", *, ticks: bool = True) -> Connection:
        """A new open connection. `purpose` is what operators see in the console. `ticks`: whether the caller checks
        heartbeats; a broker closes a connection that promised them and is silent. Raises `OUTAGES` when nobody answers."""
        if self.in_memory:
            return Connection(self.url, transport_options={"polling_interval": POLL_SECONDS})
        options = {
            "read_timeout": ANSWER_SECONDS,
            "write_timeout": ANSWER_SECONDS,
            "client_properties": {"connection_name": purpose} if purpose else {},
        }
        connection = Connection(
            self.url,
            heartbeat=self.heartbeat if ticks else 0,
            connect_timeout=CONNECT_SECONDS,
            transport_options=options,
        )
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT_SECONDS)
        return connection
