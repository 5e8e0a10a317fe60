"""What a process counts and times, for Prometheus: one registry, shown at `/metrics`.

Labels are queues, stages, outcomes and lanes (a creditor's code and a channel): never a batch, a record or a person.
Names and units follow Prometheus's conventions; HELP texts are for whoever builds a board. Only what a label is bound to
once costs nothing in the hot path: callers keep the children that `labels` gives.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from time import perf_counter

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

log = structlog.get_logger()
REGISTRY = CollectorRegistry()
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
WAITS = (0.05, 0.25, 1, 5, 15, 30, 60, 120, 300, 900, 3600)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
Info("staffetta_build", "The version that runs.", registry=REGISTRY).info(
    {"version": version("staffetta"), "python": platform.python_version()}
)

RECORDS = Counter(
    "staffetta_records", "Records that a stage answered for, by what it came to. Repeats count apart.",
    ["stage", "outcome"], registry=REGISTRY,
)  # fmt: skip
HANDFUL_RECORDS = Histogram(
    "staffetta_handful_records", "Messages taken together from a queue.", ["queue"], buckets=SIZES, registry=REGISTRY
)
HANDFUL_SECONDS = Histogram(
    "staffetta_handful_seconds", "From taking a handful to having passed on all that it led to.", ["queue"],
    buckets=SECONDS, registry=REGISTRY,
)  # fmt: skip
QUEUE_WAIT_SECONDS = Histogram(
    "staffetta_queue_wait_seconds", "How long a message had been under way, by the one that waited longest in a handful.",
    ["queue"], buckets=WAITS, registry=REGISTRY,
)  # fmt: skip
HANDFULS_HELD = Counter(
    "staffetta_handfuls_held", "Tries of a handful that ended in an outage of ours (database, broker, store).", ["queue"],
    registry=REGISTRY,
)  # fmt: skip
HELD = Gauge(
    "staffetta_queue_held", "1 while a handful waits for the end of an outage of ours.", ["queue"], registry=REGISTRY
)
UNREADABLE = Counter(
    "staffetta_unreadable_messages", "Messages set aside because they cannot be read.", ["queue"], registry=REGISTRY
)
ACT_SECONDS = Histogram(
    "staffetta_act_seconds", "A stage's act in the outside world: of a handful, or of one record where it acts one by one.",
    ["stage"], buckets=SECONDS, registry=REGISTRY,
)  # fmt: skip
LANE_CLOSED = Gauge(
    "staffetta_lane_closed", "1 while a lane does not answer and is only probed.", ["stage", "lane"], registry=REGISTRY
)
PUBLISHED = Counter("staffetta_published_messages", "Messages that the broker confirmed.", registry=REGISTRY)
PUBLISH_FAILURES = Counter("staffetta_publish_failures", "Publishing that was not confirmed.", registry=REGISTRY)
PUBLISH_SECONDS = Histogram(
    "staffetta_publish_seconds", "From publishing a handful to the last confirm.", buckets=SECONDS, registry=REGISTRY
)
TICKED = Gauge(
    "staffetta_last_tick_timestamp_seconds", "When a service's clock last did its work to the end.", ["service"],
    registry=REGISTRY,
)  # fmt: skip
READY = Gauge("staffetta_ready", "1 while a process can work, as `/readyz` says.", ["service"], registry=REGISTRY)
FACTS = Counter(
    "staffetta_status_facts", "Facts that status folded, or could not read.", ["outcome"], registry=REGISTRY
)
FOLD_SECONDS = Histogram(
    "staffetta_status_fold_seconds",
    "Folding a handful of facts into the read model.",
    buckets=SECONDS,
    registry=REGISTRY,
)


def text() -> bytes:
    """The exposition format."""
    return generate_latest(REGISTRY)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe what goes well; an outage's seconds would tell of its length, not of the work's."""
    started = perf_counter()
    yield
    histogram.observe(perf_counter() - started)


def gauges(read: Callable[[], Iterable[Metric]]) -> Callable[[], None]:
    """Metrics that `read` asks a database for whenever they are scraped. While it does not answer they are absent, and the
    others are not. Returns what takes them out again."""
    asked = _Asked(read)
    REGISTRY.register(asked)

    def forget() -> None:
        with suppress(KeyError):
            REGISTRY.unregister(asked)

    return forget


class _Asked(Collector):
    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the database may not be up yet."""
        return iter(())

    def collect(self) -> Iterable[Metric]:
        """See `gauges`."""
        try:
            return list(self._read())
        except Exception as error:
            log.warning("metrics.database-away", error=type(error).__name__)
            return ()
