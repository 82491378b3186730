"""The tracer behind ``callsheet.service.telemetry``: OpenTelemetry over OTLP."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind


class OtlpTracer:
    """Sends spans to the endpoint of the environment, in batches, by a thread of its own."""

    def __init__(self, *, service: str) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME", service)
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("callsheet")

    def span(self, name: str, carrier: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a span whose parent is the one that *carrier* names by W3C trace context."""
        return self._tracer.start_as_current_span(name, context=extract(dict(carrier)), kind=SpanKind.SERVER)

    def shut_down(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
