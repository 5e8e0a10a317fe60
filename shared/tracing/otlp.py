"""Spans by OpenTelemetry's SDK, sent over OTLP/HTTP in batches; where they cannot be sent they are dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.tracing import Value

MOST_LINKS = 256
NAMESPACE = "staffetta."


class _Ids(RandomIdGenerator):
    """Trace ids that somebody chose."""

    def __init__(self) -> None:
        self._wanted = threading.local()

    @contextmanager
    def wanted(self, trace_id: int) -> Iterator[None]:
        """For the spans that begin inside, in this thread."""
        self._wanted.id = trace_id
        try:
            yield
        finally:
            self._wanted.id = None

    def generate_trace_id(self) -> int:
        """See `IdGenerator.generate_trace_id`."""
        return getattr(self._wanted, "id", None) or super().generate_trace_id()


class Otlp:
    """See `shared.tracing.Tracer`. The endpoint and all else are OpenTelemetry's own variables."""

    def __init__(self, service: str) -> None:
        self._ids = _Ids()
        named = Resource({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(
            id_generator=self._ids, resource=named, span_limits=SpanLimits(max_links=MOST_LINKS)
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("staffetta")

    @contextmanager
    def span(self, name: str, causes: Iterable[str], attributes: dict[str, Value]) -> Iterator[None]:
        """See `Tracer.span`."""
        contexts = [_read(cause) for cause in causes if cause]
        parent = contexts[0] if len(contexts) == 1 else None
        links = [Link(_of(context)) for context in contexts] if parent is None else []
        with self._tracer.start_as_current_span(
            name, parent, SpanKind.CONSUMER if contexts else SpanKind.INTERNAL, _told(attributes), links,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield
            except BaseException as error:  # its text may quote anything
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def step(self, name: str, cause: str, attributes: dict[str, Value]) -> str:
        """See `Tracer.step`."""
        work = trace.get_current_span()
        links = [Link(work.get_span_context())] if work.get_span_context().is_valid else []
        started = work.start_time if isinstance(work, ReadableSpan) else None
        return self._point(name, _read(cause) if cause else Context(), attributes, links, started)

    def begun(self, trace: UUID, name: str, attributes: dict[str, Value]) -> str:
        """See `Tracer.begun`."""
        with self._ids.wanted(trace.int):
            return self._point(name, Context(), attributes)

    def current(self) -> str:
        """See `Tracer.current`."""
        span = trace.get_current_span()
        return _written(span) if span.get_span_context().is_valid else ""

    def close(self) -> None:
        """See `Tracer.close`."""
        self._provider.shutdown()

    def _point(
        self, name: str, parent: Context, attributes: dict[str, Value], links: list[Link] | None = None,
        started: int | None = None,
    ) -> str:  # fmt: skip
        span = self._tracer.start_span(name, parent, SpanKind.PRODUCER, _told(attributes), links, started)
        span.end()
        return _written(span)


def _told(attributes: dict[str, Value]) -> dict[str, Value]:
    return {f"{NAMESPACE}{name}": value for name, value in attributes.items()}


def _read(traceparent: str) -> Context:
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def _of(context: Context) -> trace.SpanContext:
    return trace.get_current_span(context).get_span_context()


def _written(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
