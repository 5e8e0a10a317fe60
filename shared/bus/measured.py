"""Counting and timing what the bus does: a few observations a handful, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING

from shared.metrics import (
    HANDFUL_RECORDS,
    HANDFUL_SECONDS,
    HANDFULS_HELD,
    HELD,
    PUBLISH_FAILURES,
    PUBLISH_SECONDS,
    PUBLISHED,
    QUEUE_WAIT_SECONDS,
    timed,
)

if TYPE_CHECKING:
    from shared.bus.consumer import Delivery


def measured(queue: str, handle: Callable[[Sequence[Delivery]], None]) -> Callable[[Sequence[Delivery]], None]:
    """`handle`, watched. A handful that an outage holds is taken once and tried several times."""
    sizes, seconds = HANDFUL_RECORDS.labels(queue), HANDFUL_SECONDS.labels(queue)
    waits, tries, held = QUEUE_WAIT_SECONDS.labels(queue), HANDFULS_HELD.labels(queue), HELD.labels(queue)

    def handled(deliveries: Sequence[Delivery]) -> None:
        now = datetime.now(UTC)
        fresh = [each.envelope.time for each in deliveries if not each.envelope.restated]  # the others tell of the past
        waited = (now - min(fresh, default=now)).total_seconds()
        started = perf_counter()
        try:
            handle(deliveries)
        except BaseException:
            tries.inc()
            held.set(1)
            raise
        held.set(0)
        sizes.observe(len(deliveries))
        seconds.observe(perf_counter() - started)
        waits.observe(max(0.0, waited))  # clocks of two machines may differ

    return handled


@contextmanager
def publishing(count: int) -> Iterator[None]:
    """Around the publishing of `count` messages, up to the last confirm."""
    try:
        with timed(PUBLISH_SECONDS):
            yield
    except Exception:
        PUBLISH_FAILURES.inc()
        raise
    PUBLISHED.inc(count)
