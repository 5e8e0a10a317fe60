"""A namespace on a real RabbitMQ, as an operator finds it: messages that nobody could read, and the commands about them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pika
from pika.adapters.blocking_connection import BlockingChannel
from typer.testing import CliRunner, Result

from deploy.cli.app import app
from shared.bus.parcels import COUNT
from shared.bus.topology import Topology
from shared.bus.unreadable import connected
from shared.bus.verify import declare
from shared.contracts.envelope import BATCH_CONTENT_TYPE
from shared.creditors import load_creditors

DEADLINE = 60.0


class Site:
    """One installation's topology, and a wire of our own to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.topology = Topology(f"op-{uuid4().hex[:8]}", tuple(load_creditors().clients))
        declare(url, self.topology)
        self._connection = connected(url)
        self.wire: BlockingChannel = self._connection.channel()
        self.wire.confirm_delivery()

    @property
    def environment(self) -> dict[str, str]:
        """What the commands read."""
        return {"STAFFETTA_BROKER_URL": self.url, "STAFFETTA_NAMESPACE": self.topology.namespace}

    def call(self, *words: str, answer: str = "", **environment: str) -> Result:
        """A command, as typed."""
        return CliRunner().invoke(app, words, input=answer, env={**self.environment, **environment})

    def json(self, *words: str) -> Any:
        """What a command tells machines."""
        return json.loads(self.call(*words, "--json").stdout)

    def park(
        self, body: str, *, id: str = "", queue: str = "render", key: str = "iuv.iuv-assigned.v1", items: int = 1
    ) -> None:
        """A message, or a parcel, that the service of `queue` rejects as unreadable; the queue is empty before and after."""
        before = self.waiting("render.unreadable")
        properties = _named(id, {"cloudEvents_id": id} if id else {})
        if items > 1:
            properties = _named(id, {COUNT: items})
            properties.content_type = BATCH_CONTENT_TYPE
        self.wire.basic_publish(self.name("facts"), key, body.encode(), properties, mandatory=True)
        method, _, _ = self.get(queue)
        self.wire.basic_reject(method.delivery_tag, requeue=False)
        until(lambda: self.waiting("render.unreadable") > before)

    def put(self, queue: str, body: str, id: str) -> None:
        """Straight into a queue."""
        self.wire.basic_publish("", self.name(queue), body.encode(), _named(id, {}), mandatory=True)

    def get(self, queue: str) -> tuple[Any, Any, Any]:
        """The next message of a queue, once there is one."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            found = self.wire.basic_get(self.name(queue))
            if found[0] is not None:
                return found
            time.sleep(0.01)
        raise AssertionError(f"nothing in {queue}")

    def waiting(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        return int(self.wire.queue_declare(self.name(queue), passive=True).method.message_count)

    def name(self, short: str) -> str:
        """With the namespace."""
        return f"{self.topology.namespace}.{short}"

    def empty(self) -> None:
        """Nothing anywhere."""
        for queue in self.topology.queues():
            self.wire.queue_purge(queue.name)

    def close(self) -> None:
        """Leave nothing behind."""
        wire = self._connection.channel()  # a test that failed may have lost the other one
        for queue in self.topology.queues():
            wire.queue_delete(queue.name)
        for exchange in self.topology.exchanges():
            wire.exchange_delete(exchange.name)
        self._connection.close()


@contextmanager
def site(url: str) -> Iterator[Site]:
    """A site, taken down at the end."""
    made = Site(url)
    try:
        yield made
    finally:
        made.close()


def _named(id: str, headers: Mapping[str, str | int]) -> pika.BasicProperties:
    return pika.BasicProperties(message_id=id or None, headers=headers, delivery_mode=2)  # type: ignore[no-untyped-call]


def until(condition: Any) -> None:
    """Wait for it."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
