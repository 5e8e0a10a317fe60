"""Spans across the relay, where somebody asks for them: `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the extra `otel` installed.

Otherwise nothing is imported and every call here is one comparison. A record's trace id is the record's id, a batch's
that of the batch: what belongs to one record is one trace, over restarts, repeats and phases, and whoever knows an id from a
log line finds its trace. Names and attributes are ids, stages, queues and counts; an exception is told by its type alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol
from uuid import UUID

import structlog

log = structlog.get_logger()
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
NOTHING: AbstractContextManager[None] = nullcontext()
Value = str | int


class Tracer(Protocol):
    """What makes spans. A *traceparent* is W3C's: `00-<trace>-<span>-<flags>`; one that cannot be read counts as none."""

    def span(self, name: str, causes: Iterable[str], attributes: dict[str, Value]) -> AbstractContextManager[None]:
        """See `span`."""
        ...

    def step(self, name: str, cause: str, attributes: dict[str, Value]) -> str:
        """See `step`."""
        ...

    def begun(self, trace: UUID, name: str, attributes: dict[str, Value]) -> str:
        """See `begun`."""
        ...

    def current(self) -> str:
        """See `current`."""
        ...

    def close(self) -> None:
        """Send what is still here."""
        ...


_tracer: Tracer | None = None


def configure(service: str) -> None:
    """Begin to trace, where an endpoint is set; call it once in a process. `service` unless `OTEL_SERVICE_NAME` says
    otherwise."""
    global _tracer  # noqa: PLW0603 - a process has one, as it has one log
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return
    try:
        from shared.tracing.otlp import Otlp  # noqa: PLC0415 - nobody pays for it who does not ask
    except ImportError:
        log.warning("tracing.not-installed", extra="otel")
    else:
        _tracer = Otlp(service)


def close() -> None:
    """End tracing, and send what is still here."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.close()


def span(name: str, causes: Iterable[str] = (), **attributes: Value) -> AbstractContextManager[None]:
    """Around a piece of work. One cause (a traceparent) is its parent; of several, each is linked."""
    return NOTHING if _tracer is None else _tracer.span(name, causes, attributes)


def step(name: str, cause: str, **attributes: Value) -> str:
    """What the work in hand came to for the one message `cause`: a span from the work's begin until now, in the trace of
    the cause. Returns the traceparent for what follows from it."""
    return cause if _tracer is None else _tracer.step(name, cause, attributes)


def begun(trace: UUID, name: str, **attributes: Value) -> str:
    """The first span of a record's or batch's trace, or of one more round of it."""
    return "" if _tracer is None else _tracer.begun(trace, name, attributes)


def current() -> str:
    """The traceparent of the work in hand."""
    return "" if _tracer is None else _tracer.current()
