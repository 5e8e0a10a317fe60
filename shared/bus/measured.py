"""Counting, timing and tracing what the bus does, and binding its ids to log lines: a few steps a handful, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from structlog.contextvars import bound_contextvars

from shared import tracing
from shared.contracts.envelope import Envelope
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
    from shared.bus.delivery import Delivery

A = TypeVar("A")
B = TypeVar("B")


def measured(queue: str, handle: Callable[[Sequence[Delivery]], None]) -> Callable[[Sequence[Delivery]], None]:
    """`handle`, watched. A handful that an outage holds is taken once and tried several times."""
    sizes, seconds = HANDFUL_RECORDS.labels(queue), HANDFUL_SECONDS.labels(queue)
    waits, tries, held = QUEUE_WAIT_SECONDS.labels(queue), HANDFULS_HELD.labels(queue), HELD.labels(queue)
    service = queue.partition(".")[0]

    def handled(deliveries: Sequence[Delivery]) -> None:
        now = datetime.now(UTC)
        fresh = [each.envelope.time for each in deliveries if not each.envelope.restated]  # the others tell of the past
        waited = (now - min(fresh, default=now)).total_seconds()
        causes = (delivery.envelope.traceparent for delivery in deliveries)
        started = perf_counter()
        try:
            with (
                bound_contextvars(service=service, queue=queue, **_only(deliveries)),
                tracing.span(f"handle {queue}", causes, queue=queue, messages=len(deliveries)),
            ):
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
def publishing(envelopes: Sequence[Envelope]) -> Iterator[Sequence[Envelope]]:
    """Around publishing, up to the last confirm. Gives the messages as they go out: each with a trace, if any are made."""
    try:
        with timed(PUBLISH_SECONDS), tracing.span("publish", messages=len(envelopes)):
            yield _traced(envelopes)
    except Exception:
        PUBLISH_FAILURES.inc()
        raise
    PUBLISHED.inc(len(envelopes))


def carried(act: Callable[[A], B]) -> Callable[[A], B]:
    """`act` for other threads, with the ids and the span of this one."""
    here = copy_context()
    return lambda work: here.copy().run(act, work)


def _only(deliveries: Sequence[Delivery]) -> dict[str, str]:
    """The ids of a message that is alone in the hand."""
    if len(deliveries) != 1:
        return {}
    envelope = deliveries[0].envelope
    return {"message_id": envelope.id, "batch_id": envelope.correlation}


def _traced(envelopes: Sequence[Envelope]) -> Sequence[Envelope]:
    here = tracing.current()
    if not here:
        return envelopes
    return [each if each.traceparent else replace(each, traceparent=_trace(each, here)) for each in envelopes]


def _trace(envelope: Envelope, here: str) -> str:
    """What people and other systems ask for begins, or goes on with, the trace of its batch."""
    if envelope.exchange != "intake" or not envelope.correlation:
        return here
    return tracing.begun(UUID(envelope.correlation), f"ask {envelope.key}")
