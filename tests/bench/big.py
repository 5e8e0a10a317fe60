"""One large batch over RabbitMQ and PostgreSQL with null acts, and an urgent one of 20 rows in the middle of it.

Told at the end: the peak memory of each process, the longest that each queue ever was, and when the urgent batch was
finished.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pika

from deploy.migrations.chains import SERVICES
from shared.bus.topology import BINDINGS, Topology
from tests.bench import places
from tests.bench.installation import installed
from tests.bench.job import spreadsheet
from tests.bench.machine import described
from tests.bench.processes import running

URGENT = 20
LOOK_SECONDS = 0.25


def main(arguments: Sequence[str]) -> int:
    """0; raises where something is missing at the end."""
    parser = argparse.ArgumentParser("tests.bench big", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args(arguments).rows
    with (
        places.database() as database,
        tempfile.TemporaryDirectory(prefix="staffetta-bench-") as name,
        installed(places.broker(), database, Path(name)) as installation,
        watched(installation.broker, installation.topology) as longest,
        running(SERVICES, 0, installation.environment) as processes,
    ):
        print(*described(installation.broker, database), sep="\n", flush=True)
        whole = installation.request(spreadsheet(Path(name), rows))
        reading = installation.wait(whole, "ready", rows, processes)
        print(f"{rows} rows read and shown after {reading:.0f} s", flush=True)
        installation.allow(whole)
        first = installation.wait(whole, "sent", rows // 2, processes)
        urgent = installation.request(spreadsheet(Path(name), URGENT))
        ready = installation.wait(urgent, "ready", URGENT, processes)
        installation.allow(urgent)
        sent = installation.wait(urgent, "sent", URGENT, processes)
        left = rows - installation.count(whole, "sent")
        print(
            f"urgent batch of {URGENT}: shown after {ready:.1f} s, sent {sent:.1f} s later; {left} rows were left then"
        )
        second = installation.wait(whole, "sent", rows, processes)
        installation.audit(rows + URGENT)
        total = first + ready + sent + second
        print(
            f"all sent after {total:.0f} s, {rows / total:.0f} records/s; ledgers, register, ingest and facts counted"
        )
        for service, megabytes in processes.peaks().items():
            print(f"  {service:12} {megabytes:6.0f} MB at most")
        for queue, length in longest.items():
            print(f"  {queue:16} {length:6} messages at most")
    return 0


@contextmanager
def watched(broker: str, topology: Topology) -> Iterator[dict[str, int]]:
    """Queue → the most messages that lay ready in it, looked at four times a second."""
    longest = dict.fromkeys(BINDINGS, 0)
    ended = threading.Event()

    def look() -> None:
        with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
            channel = connection.channel()
            while not ended.wait(LOOK_SECONDS):
                for queue in longest:
                    found = channel.queue_declare(topology.queue(queue).name, passive=True).method.message_count
                    longest[queue] = max(longest[queue], found)

    thread = threading.Thread(target=look, name="queues", daemon=True)
    thread.start()
    try:
        yield longest
    finally:
        ended.set()
        thread.join()
