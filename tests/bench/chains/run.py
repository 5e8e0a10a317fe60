"""Run one framework's chain: tables, seed, workers, count, time, clean up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import pika

from tests.bench.chains.steps import STEPS, counted, prepare, queue_names, span

POLL_SECONDS = 0.25
STALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Chain:
    """A framework with the setting that was its best on two cores: one worker process of it."""

    name: str
    module: str
    setting: str
    arguments: tuple[str, ...]


CHAINS = (
    Chain("Celery", "celery_chain", "threads pool, 8 threads", ("threads", "8")),
    Chain("Dramatiq", "dramatiq_chain", "8 threads", ("8",)),
    Chain("FastStream", "faststream_chain", "prefetch 20, 20 connections", ("20", "20")),
)
"""Tried besides, and no faster: Celery solo, prefork with 2, 4 and 8, 16 threads, two workers; Dramatiq with 4 and 16
threads, two processes; FastStream with a prefetch of 10 and 50, two processes."""


def seconds(chain: Chain, records: int, broker: str, database: str) -> float:
    """From the first commit to the last. Raises where a step is missing or nothing moves for a minute."""
    os.environ |= {"STAFFETTA_BENCH_BROKER": broker, "STAFFETTA_BENCH_DATABASE": database}
    prefix = f"bench-{uuid4().hex[:8]}"
    prepare(records)
    with ExitStack() as stack:
        stack.callback(_remove, broker, prefix)
        subprocess.run(_command(chain, "seed", prefix, records), check=True)
        worker = subprocess.Popen(_command(chain, "work", prefix, records), stdout=subprocess.DEVNULL)
        stack.callback(_end, worker)
        _await(worker, records)
        return span(records)


def _command(chain: Chain, action: str, prefix: str, records: int) -> list[str]:
    module = f"tests.bench.chains.{chain.module}"
    return [sys.executable, "-W", "ignore", "-m", module, action, prefix, str(records), *chain.arguments]


def _await(worker: subprocess.Popen[bytes], records: int) -> None:
    done, moved = 0, time.monotonic()
    while done < records * len(STEPS):
        time.sleep(POLL_SECONDS)
        now = counted()
        if now > done:
            done, moved = now, time.monotonic()
        if worker.poll() is not None or time.monotonic() - moved > STALL_SECONDS:
            raise RuntimeError(f"{done} of {records * len(STEPS)} steps, and nothing moves")


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(15)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _remove(broker: str, prefix: str) -> None:
    """The queues, Dramatiq's delayed and dead ones too."""
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        channel = connection.channel()
        for name in queue_names(prefix):
            for suffix in ("", ".DQ", ".XQ"):
                channel.queue_delete(f"{name}{suffix}")
