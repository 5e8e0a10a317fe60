"""Dramatiq: confirmed, acknowledged after the actor; `… dramatiq_chain seed|work PREFIX RECORDS THREADS`.

Dramatiq declares classic queues of itself; the subclass asks for quorum ones.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import psycopg

from tests.bench.chains.steps import STEPS, a_payload, broker_url, commit, database, queue_names

ACTION, PREFIX, RECORDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
THREADS = int(sys.argv[4])
QUEUES = queue_names(PREFIX)
os.environ["dramatiq_queue_prefetch"] = "40"  # noqa: SIM112 - its name

import dramatiq  # noqa: E402 - it reads its prefetch when it is imported
from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: E402


class QuorumBroker(RabbitmqBroker):
    """With quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, object]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


broker = QuorumBroker(url=broker_url(), confirm_delivery=True)
dramatiq.set_broker(broker)
local = threading.local()


def connection() -> psycopg.Connection:
    """One for each thread."""
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(database(), autocommit=True)
    return local.connection  # type: ignore[no-any-return]


def perform(index: int, record: dict[str, object]) -> None:
    """Commit, then ask for the next step."""
    commit(connection(), STEPS[index], str(record["id"]))
    if index + 1 < len(STEPS):
        actors[index + 1].send(index + 1, record)


actors = [dramatiq.actor(perform, actor_name=step, queue_name=queue) for step, queue in zip(STEPS, QUEUES, strict=True)]


def main() -> None:
    """Seed, or work until a signal."""
    if ACTION == "seed":
        for row in range(1, RECORDS + 1):
            actors[0].send(0, a_payload(row))
        return
    worker = dramatiq.Worker(broker, queues=set(QUEUES), worker_threads=THREADS)
    worker.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)


if __name__ == "__main__":
    main()
