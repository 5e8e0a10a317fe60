"""Exchanges, queues and bindings as values. Operators read these names in the broker's console.

staffetta.intake     clients and status write; ingest reads
staffetta.commands   ingest and status to one stage; `every.restate.v1` to all
staffetta.facts      every service; status and ingest read all, stages what triggers them
staffetta.outcomes   to other systems
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kombu import Connection, Exchange, Queue, binding

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
QUORUM: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 10,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

UNREADABLE: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
"""An operator who looks at a message takes it and gives it back; RabbitMQ 4 by default drops what came back 20 times."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The names under one namespace (`STAFFETTA_NAMESPACE`)."""

    namespace: str = "staffetta"

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

    def exchanges(self) -> list[Exchange]:
        """All of them."""
        return [self.exchange(name) for name in EXCHANGES]

    def queues(self) -> list[Queue]:
        """All of them; those that others dead-letter into come first."""
        unreadable = [
            Queue(self.unreadable_name(service), durable=True, queue_arguments=UNREADABLE) for service in SERVICES
        ]
        return [*unreadable, *(self.queue(name) for name in BINDINGS)]

    def declare(self, connection: Connection) -> None:
        """Make everything stand, so that no fact is published before all who bind it are there."""
        with connection.channel() as channel:
            for exchange in self.exchanges():
                exchange(channel).declare()
            for queue in self.queues():
                queue(channel).declare()
