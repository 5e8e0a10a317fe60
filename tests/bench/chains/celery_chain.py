"""Celery: acknowledged late, no results, confirms; `… celery_chain seed|work PREFIX RECORDS POOL SIZE`.

Quorum queues need `worker_detect_quorum_queues` (they refuse the global prefetch that Celery sets otherwise). Each task
sends the next one itself: a `chain` carries all later signatures in every message and is slower.
"""

from __future__ import annotations

import sys
import threading

import psycopg
from celery import Celery
from kombu import Queue

from tests.bench.chains.steps import STEPS, a_payload, broker_url, commit, database, queue_names

ACTION, PREFIX, RECORDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
POOL, CONCURRENCY = sys.argv[4:6]
QUEUES = queue_names(PREFIX)
app = Celery("bench", broker=broker_url())
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_create_missing_queues=False,
    task_queues=[Queue(name, routing_key=name, queue_arguments={"x-queue-type": "quorum"}) for name in QUEUES],
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_detect_quorum_queues=True,
    worker_prefetch_multiplier=20,
    worker_enable_remote_control=False,
)
local = threading.local()


def connection() -> psycopg.Connection:
    """One for each thread and process."""
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(database(), autocommit=True)
    return local.connection  # type: ignore[no-any-return]


@app.task(name="step")
def step(index: int, record: dict[str, object]) -> None:
    """Commit, then ask for the next step."""
    commit(connection(), STEPS[index], str(record["id"]))
    if index + 1 < len(STEPS):
        step.apply_async((index + 1, record), queue=QUEUES[index + 1])


def main() -> None:
    """Seed, or work until a signal."""
    if ACTION == "seed":
        with app.producer_pool.acquire(block=True) as producer:
            for row in range(1, RECORDS + 1):
                step.apply_async((0, a_payload(row)), queue=QUEUES[0], producer=producer)
        return
    app.worker_main([
        *("worker", "--pool", POOL, "--concurrency", CONCURRENCY, "--loglevel", "ERROR", "--queues", ",".join(QUEUES)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
