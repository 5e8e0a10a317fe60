"""FastStream: asynchronous, confirmed, acknowledged after the handler; `… faststream_chain seed|work …`.

Its handlers run at once up to the prefetch, each with a database connection from a pool of as many.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from psycopg_pool import AsyncConnectionPool

from tests.bench.chains.steps import STEPS, a_payload, broker_url, commit_async, database, queue_names

ACTION, PREFIX, RECORDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
PREFETCH, CONNECTIONS = map(int, sys.argv[4:6])
QUEUES = [RabbitQueue(name, queue_type=QueueType.QUORUM, durable=True) for name in queue_names(PREFIX)]
broker = RabbitBroker(broker_url(), default_channel=Channel(prefetch_count=PREFETCH), logger=None)
pool = AsyncConnectionPool(
    database(), min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True}
)


def subscribe(index: int) -> None:
    """The handler of one step."""

    async def handle(record: dict[str, Any]) -> dict[str, Any]:
        async with pool.connection() as connection:
            await commit_async(connection, STEPS[index], record["id"])
        return record

    if index + 1 < len(STEPS):
        handle = broker.publisher(QUEUES[index + 1], persist=True)(handle)
    broker.subscriber(QUEUES[index], ack_policy=AckPolicy.NACK_ON_ERROR)(handle)


async def seed() -> None:
    """Put every record into the first queue."""
    async with broker:
        await broker.declare_queue(QUEUES[0])
        for row in range(1, RECORDS + 1):
            await broker.publish(a_payload(row), QUEUES[0], persist=True)


async def work() -> None:
    """Work until a signal."""
    for index in range(len(STEPS)):
        subscribe(index)
    async with pool:
        await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(seed() if ACTION == "seed" else work())
