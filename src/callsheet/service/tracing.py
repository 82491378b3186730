"""The tracer behind ``callsheet.service.telemetry``: OpenTelemetry over OTLP."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as Begun
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from callsheet.service.spans import TRACEPARENT, Facts

_NANOS: Final = 1_000_000_000
_W3C: Final = TraceContextTextMapPropagator()


class _Span:
    """A span that has begun."""

    def __init__(self, begun: Begun) -> None:
        self._begun = begun

    def add(self, facts: Facts) -> None:
        """Say more of it."""
        self._begun.set_attributes(dict(facts))


class OtlpTracer:
    """Sends spans to the endpoint of the environment, in batches, by a thread of its own."""

    def __init__(self, *, service: str) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", service)
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("callsheet")

    @contextmanager
    def span(self, name: str, carrier: Mapping[str, str], facts: Facts) -> Generator[_Span]:
        """Begin a span whose parent is the one that *carrier* names by W3C trace context."""
        with self._tracer.start_as_current_span(
            name, context=_below(carrier), kind=SpanKind.SERVER, attributes=dict(facts)
        ) as begun:
            yield _Span(begun)

    @contextmanager
    def inner(self, name: str, facts: Facts) -> Generator[_Span]:
        """Begin a span below the present one."""
        with self._tracer.start_as_current_span(name, attributes=dict(facts)) as begun:
            yield _Span(begun)

    def past(self, name: str, traceparent: str, begin: float, end: float, facts: Facts) -> None:
        """Tell of a span that is over."""
        over = self._tracer.start_span(
            name,
            context=_below({TRACEPARENT: traceparent}),
            attributes=dict(facts),
            start_time=round(begin * _NANOS),
        )
        over.end(round(max(begin, end) * _NANOS))

    def ids(self) -> tuple[str, str, str] | None:
        """Return trace, span and flags of the present, in hex."""
        present = get_current_span().get_span_context()
        if not present.is_valid:
            return None
        return (
            format_trace_id(present.trace_id),
            format_span_id(present.span_id),
            f"{present.trace_flags:02x}",
        )

    def shut_down(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _below(carrier: Mapping[str, str]) -> Context:
    """Return the context below the span that *carrier* names, or below none; never below the present one."""
    return _W3C.extract(dict(carrier), context=Context())
