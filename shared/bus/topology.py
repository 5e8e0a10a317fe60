"""Exchanges, queues and bindings as values. Operators read these names in the broker's console.

staffetta.intake     clients and status write; ingest reads
staffetta.commands   ingest and status to one stage; `every.restate.v1` to all
staffetta.facts      every service; status and ingest read all, stages what triggers them
staffetta.outcomes   to other systems; declared last: where it is, all that is inside stands
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Any

import structlog
from kombu import Connection, Exchange, Queue, binding
from kombu.exceptions import ChannelError

from shared.bus.connection import Broker
from shared.bus.outages import OUTAGES, wait_seconds
from shared.bus.parcels import MOST_ITEMS

log = structlog.get_logger()
NOT_FOUND = "404"

RESTATE = ("commands", "every.restate.v1")
CONTROL = (
    "generate-notices",
    "send-notices",
    "pause-batch",
    "resume-batch",
    "cancel-batch",
    "retry-records",
    "correct-record",
)

BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "ingest.batches": (("intake", "ingest.request-batch.v1"),),
    "ingest.control": (*(("intake", f"ingest.{name}.v1") for name in CONTROL), RESTATE),
    "ingest.facts": tuple(("facts", f"{stage}.#") for stage in ("iuv", "render", "protocol", "dispatch")),
    "iuv": (("commands", "iuv.#"), RESTATE),
    "render": (("facts", "iuv.iuv-assigned.v1"), RESTATE),
    "render.preview": (("commands", "render.preview-record.v1"),),
    "protocol": (("commands", "protocol.#"), RESTATE),
    "dispatch": (("commands", "dispatch.#"), ("facts", "protocol.notice-registered.v1"), RESTATE),
    "status": (("facts", "#"),),
}
"""Queue → (exchange, routing key)s."""

EXCHANGES = ("intake", "commands", "facts", "outcomes")
SERVICES = tuple(dict.fromkeys(queue.partition(".")[0] for queue in BINDINGS))
UNREADABLE: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
"""An operator who looks at a message takes it and gives it back; RabbitMQ 4 by default drops what came back 20 times."""
DELIVERIES = 10 + 2 * MOST_ITEMS
"""Each message in a parcel may kill its worker twice before it is known to (`suspects`): none of its neighbours must be set aside
with it before that. The rest is for what counts as a delivery too: stops, lost connections, the first death together."""
QUORUM: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERIES,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
OUTCOMES: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-max-length": 10_000,
    "x-max-length-bytes": 50_000_000,
    "x-overflow": "drop-head",
}
"""A client that never reads loses its oldest outcomes, and fills nobody's disk."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The names under one namespace (`STAFFETTA_NAMESPACE`). `clients`: other systems that read outcomes."""

    namespace: str = "staffetta"
    clients: tuple[str, ...] = ()

    def exchange(self, name: str) -> Exchange:
        """A durable topic exchange: intake, commands, facts or outcomes."""
        return Exchange(f"{self.namespace}.{name}", type="topic", durable=True)

    def queue(self, name: str) -> Queue:
        """A queue with its bindings. What cannot be read goes to its service's `unreadable` queue."""
        arguments = QUORUM | {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.unreadable_name(name),
        }
        bindings = [binding(self.exchange(exchange), routing_key=key) for exchange, key in BINDINGS[name]]
        return Queue(f"{self.namespace}.{name}", bindings=bindings, durable=True, queue_arguments=arguments)

    def unreadable_name(self, queue: str) -> str:
        """Where bodies of `queue` that cannot be read at all end."""
        return f"{self.namespace}.{queue.partition('.')[0]}.unreadable"

    def outcomes_queue(self, client: str) -> Queue:
        """What another system reads: its own outcomes and nobody else's."""
        bindings = [binding(self.exchange("outcomes"), routing_key=f"{client}.#")]
        name = f"{self.namespace}.outcomes.{client}"
        return Queue(name, bindings=bindings, durable=True, queue_arguments=OUTCOMES)

    def exchanges(self) -> list[Exchange]:
        """All of them."""
        return [self.exchange(name) for name in EXCHANGES]

    def queues(self) -> list[Queue]:
        """All of them; those that others dead-letter into come first, those of other systems last."""
        unreadable = [Queue(self.unreadable_name(name), durable=True, queue_arguments=UNREADABLE) for name in SERVICES]
        inside = [self.queue(name) for name in BINDINGS]
        return [*unreadable, *inside, *(self.outcomes_queue(client) for client in self.clients)]

    def parts(self) -> list[Exchange | Queue]:
        """Everything, in the order of declaring: each after what it refers to, `outcomes` after all that is inside."""
        inside = len(SERVICES) + len(BINDINGS)
        exchanges, queues = self.exchanges(), self.queues()
        return [*exchanges[:-1], *queues[:inside], exchanges[-1], *queues[inside:]]

    def declare(self, connection: Connection) -> None:
        """Make everything stand, so that no fact is published before all who bind it are there."""
        with connection.channel() as channel:
            for part in self.parts():
                part(channel).declare()

    def missing(self, connection: Connection) -> list[str]:
        """The names of what is not there. Declares nothing, and needs no permission to."""
        return [part.name for part in self.parts() if not _stands(connection, part)]

    def await_standing(self, broker: Broker, stopping: Event) -> bool:
        """Wait until everything stands, or until told to stop; whether something had been missing."""
        had_missed, attempt = False, 0
        while not stopping.is_set():
            try:
                with broker.connect(f"{self.namespace} topology") as connection:
                    missing = self.missing(connection)
            except OUTAGES as error:
                log.warning("topology.unknown", error=type(error).__name__)
            except RuntimeError as error:
                if not broker.in_memory:
                    raise
                # kombu's memory transport closes a channel by walking through queues that others may declare meanwhile
                log.warning("topology.unknown", error=type(error).__name__, exc_info=error)
            else:
                if not missing:
                    return had_missed
                had_missed = True
                log.warning("topology.missing", first=missing[0], count=len(missing))
            stopping.wait(wait_seconds(attempt))
            attempt += 1
        return had_missed

    def definitions(self, vhost: str = "/") -> dict[str, list[dict[str, Any]]]:
        """The same as plain data, in the form of RabbitMQ's definitions files."""
        queues = self.queues()
        return {
            "exchanges": [
                {"name": part.name, "vhost": vhost, "type": part.type, "durable": True, "auto_delete": False,
                 "internal": False, "arguments": {}}
                for part in self.exchanges()
            ],
            "queues": [
                {"name": queue.name, "vhost": vhost, "durable": True, "auto_delete": False,
                 "arguments": dict(vars(queue)["queue_arguments"])}
                for queue in queues
            ],
            "bindings": [
                {"source": bound.exchange.name, "vhost": vhost, "destination": queue.name,
                 "destination_type": "queue", "routing_key": bound.routing_key, "arguments": {}}
                for queue in queues for bound in sorted(queue.bindings, key=lambda each: each.routing_key)
            ],
        }  # fmt: skip


def _stands(connection: Connection, part: Exchange | Queue) -> bool:
    """A channel each: the broker closes it with the answer that something is not there."""
    channel = connection.channel()
    try:
        if isinstance(part, Queue):
            part(channel).queue_declare(passive=True)
        else:
            part(channel).declare(passive=True)
    except ChannelError as error:
        if str(error.reply_code) != NOT_FOUND:
            raise
        return False
    else:
        channel.close()
        return True
