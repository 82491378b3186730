"""A collector of traces that speaks OTLP, and the spans that it was sent."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from callsheet.service.telemetry import ENDPOINT
from tests.support.patience import PATIENCE_S

_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A span, ids in hex."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    begin_ns: int
    end_ns: int
    facts: dict[str, str]


class Collector:
    """What was received."""

    def __init__(self) -> None:
        self.port = 0
        self._got: list[ExportTraceServiceRequest] = []
        self._more = asyncio.Event()

    @property
    def environment(self) -> dict[str, str]:
        """What has a process send its spans here, soon."""
        return {ENDPOINT: f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    async def export(self, request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        """Take spans in."""
        self._got.append(request)
        self._more.set()
        return ExportTraceServiceResponse()

    def spans(self) -> Iterator[Received]:
        """Yield what was received so far."""
        for request in self._got:
            for of_service in request.resource_spans:
                named = {one.key: one.value.string_value for one in of_service.resource.attributes}
                for span in (span for scope in of_service.scope_spans for span in scope.spans):
                    yield Received(
                        service=named["service.name"],
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        begin_ns=span.start_time_unix_nano,
                        end_ns=span.end_time_unix_nano,
                        facts={
                            one.key: one.value.string_value or str(one.value.int_value)
                            for one in span.attributes
                        },
                    )

    async def until(self, *names: str) -> None:
        """Wait until spans of all these names are here."""
        async with asyncio.timeout(PATIENCE_S):
            while not set(names) <= {span.name for span in self.spans()}:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def collecting(address: str = "127.0.0.1:0") -> AsyncGenerator[Collector]:
    """Run a collector, by default on a free port of loopback."""
    collector = Collector()
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        collector.export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),))
    collector.port = server.add_insecure_port(address)
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
