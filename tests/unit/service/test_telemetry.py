"""Spans of calls reach a collector where one is named, below the span of the caller."""

import asyncio
import sys

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from callsheet.channel import open_channel
from callsheet.service import telemetry
from callsheet.v1.job_service_pb2 import GetStatsRequest, GetStatsResponse
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.scripted_services import Script, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector:
    def __init__(self) -> None:
        self.got: list[ExportTraceServiceRequest] = []

    async def export(self, request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        self.got.append(request)
        return ExportTraceServiceResponse()

    def add_to(self, server: grpc.aio.Server) -> None:
        handler = grpc.unary_unary_rpc_method_handler(
            self.export,
            ExportTraceServiceRequest.FromString,
            ExportTraceServiceResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),))


async def test_a_call_becomes_a_span_below_its_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    server = grpc.aio.server()
    collector.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    monkeypatch.setenv(telemetry.ENDPOINT, f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "a-service")
    script = Script()
    script.will("GetStats", GetStatsResponse())
    telemetry.set_up()
    try:
        async with serving(script) as address, open_channel(address) as channel:
            parent = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
            await JobServiceStub(channel).GetStats(GetStatsRequest(), metadata=parent, timeout=30)
    finally:
        await asyncio.to_thread(telemetry.shut_down)
    await server.stop(None)

    [request] = collector.got
    [spans] = request.resource_spans
    [span] = spans.scope_spans[0].spans
    assert span.name == "callsheet.v1.JobService/GetStats"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    assert ("service.name", "a-service") in {
        (attribute.key, attribute.value.string_value) for attribute in spans.resource.attributes
    }


async def test_without_a_collector_nothing_is_loaded() -> None:
    code = (
        "import sys; from callsheet.service import telemetry; telemetry.set_up(); "
        "sys.exit(telemetry.is_on() or any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONWARNINGS": "error"}
    )

    assert await process.wait() == 0
