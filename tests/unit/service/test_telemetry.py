"""Spans of calls reach a collector where one is named, below the span of the caller."""

import asyncio
import json
import logging
import sys

import pytest

from callsheet.channel import open_channel
from callsheet.service import logs, telemetry
from callsheet.service.spans import TRACEPARENT
from callsheet.v1.job_service_pb2 import GetStatsRequest, GetStatsResponse
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from tests.support.collecting import Collector, collecting
from tests.support.scripted_services import Script, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"
CALL = "callsheet.v1.JobService/GetStats"


def begin(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in collector.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "a-service")
    telemetry.set_up()


async def test_a_call_becomes_a_span_below_the_one_in_which_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = Script()
    script.will("GetStats", GetStatsResponse())
    async with collecting() as collector, serving(script) as address, open_channel(address) as channel:
        begin(collector, monkeypatch)
        try:
            with telemetry.span("attempt", {TRACEPARENT: PARENT}, {"job.id": "one"}):
                await JobServiceStub(channel).GetStats(GetStatsRequest(), timeout=30)
                telemetry.past("wait", telemetry.traceparent() or "", 1.0, 2.5)
        finally:
            await asyncio.to_thread(telemetry.shut_down)

    spans = {span.name: span for span in collector.spans()}
    assert {span.trace for span in spans.values()} == {TRACE}
    assert {span.service for span in spans.values()} == {"a-service"}
    attempt = spans["attempt"]
    assert (attempt.parent, attempt.facts) == (CALLER, {"job.id": "one"})
    assert spans[CALL].parent == attempt.id
    assert (spans["wait"].parent, spans["wait"].end_ns - spans["wait"].begin_ns) == (
        attempt.id,
        1_500_000_000,
    )


@pytest.mark.parametrize("given", ["", "00-0-0-01", f"00-{'0' * 32}-{CALLER}-01", "x" * 9000, "ü\n"])
async def test_a_context_that_is_none_begins_a_trace_of_its_own(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting() as collector:
        begin(collector, monkeypatch)
        try:
            with telemetry.span("attempt", {TRACEPARENT: given}):
                pass
        finally:
            await asyncio.to_thread(telemetry.shut_down)
    [span] = collector.spans()
    assert span.parent == ""


async def test_what_a_caller_does_not_sample_is_not_traced_further(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting() as collector:
        begin(collector, monkeypatch)
        try:
            with telemetry.span("attempt", {TRACEPARENT: f"00-{TRACE}-{CALLER}-00"}):
                told = telemetry.traceparent()
        finally:
            await asyncio.to_thread(telemetry.shut_down)
    assert told is not None
    assert told.startswith(f"00-{TRACE}-")
    assert told.endswith("-00")
    assert list(collector.spans()) == []


async def test_log_lines_name_job_lease_and_trace_of_the_task_that_writes_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level

    async def attempt(job: str) -> None:
        logs.about(job=job, lease=7)
        with telemetry.span("attempt", {TRACEPARENT: PARENT}):
            logging.getLogger("a").warning("in it")

    async with collecting() as collector:
        begin(collector, monkeypatch)
        logs.configure("info")
        try:
            await asyncio.gather(asyncio.create_task(attempt("one")), asyncio.create_task(attempt("two")))
            logging.getLogger("a").warning("beside")
        finally:
            await asyncio.to_thread(telemetry.shut_down)
            root.handlers[:], root.level = before
        spans = {span.id for span in collector.spans()}

    *inside, beside = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["job"], line["lease"], line["trace_id"]) for line in inside] == [
        ("one", 7, TRACE),
        ("two", 7, TRACE),
    ]
    assert {line["span_id"] for line in inside} == spans
    assert not {"job", "lease", "trace_id"} & set(beside)


async def test_without_a_collector_nothing_is_loaded() -> None:
    code = (
        "import sys; from callsheet.service import telemetry; telemetry.set_up(); "
        "sys.exit(telemetry.is_on() or any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONWARNINGS": "error"}
    )

    assert await process.wait() == 0
