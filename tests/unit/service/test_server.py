"""The server lets in who may, ends what takes too long, and closes what its caller leaves."""

import asyncio
import gc
import socket
from typing import NoReturn

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from callsheet.channel import MESSAGE_BYTES_MAX, open_channel
from callsheet.errors import (
    InvalidError,
    OverloadedError,
    StandbyError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet.service.server import Checks, House, in_time, make_server, serve
from callsheet.v1.job_service_pb2 import (
    GetStatsRequest,
    GetStatsResponse,
    ListJobsRequest,
    ListJobsResponse,
    ReadLogRequest,
    ReadLogResponse,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.wire_errors import from_rpc_error
from tests.support.scripted_services import NAMES, Script, add_services, serving

TOKEN = "a-token-that-is-long-enough"


@pytest.mark.parametrize("shown", [None, "a-token-that-is-wrong-altogether", TOKEN + "x", TOKEN[:-1]])
async def test_who_does_not_show_the_token_is_refused(shown: str | None) -> None:
    script = Script()
    script.will("GetStats", GetStatsResponse())
    script.will("ReadLog", ReadLogResponse(text="secret"))
    async with serving(script, token=TOKEN) as address, open_channel(address, token=shown) as channel:
        stub = JobServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as unary:
            await stub.GetStats(GetStatsRequest(), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as stream:
            async for _ in stub.ReadLog(ReadLogRequest(), timeout=30):
                pass
        with pytest.raises(grpc.aio.AioRpcError) as both:
            await services_listed(channel)

    for refused in (unary, stream, both):
        assert isinstance(from_rpc_error(refused.value), UnauthenticatedError)
    assert script.asked == {}


async def test_who_shows_the_token_is_served_on_calls_of_every_kind() -> None:
    script = Script()
    script.will("GetStats", GetStatsResponse(completed_last_hour=7))
    script.will("ReadLog", [ReadLogResponse(text="one\n"), ReadLogResponse(text="two\n")])
    async with serving(script, token=TOKEN) as address, open_channel(address, token=TOKEN) as channel:
        stub = JobServiceStub(channel)
        stats = await stub.GetStats(GetStatsRequest(), timeout=30)
        log = [piece.text async for piece in stub.ReadLog(ReadLogRequest(), timeout=30)]
        listed = await services_listed(channel)

    assert stats.completed_last_hour == 7
    assert log == ["one\n", "two\n"]
    assert all(name.encode() in listed for name in NAMES)


async def services_listed(channel: grpc.aio.Channel) -> bytes:
    """Ask by reflection, a stream both ways, and return the answer as it came."""
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    list_services = b"\x3a\x00"
    stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
    return b"".join([answer async for answer in stream(iter([list_services]), timeout=30)])


async def test_health_is_told_to_everybody() -> None:
    async with serving(Script(), token=TOKEN) as address, open_channel(address) as channel:
        stub = HealthStub(channel)
        now = await stub.Check(health_pb2.HealthCheckRequest(service=NAMES[0]), timeout=30)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=NAMES[0]), timeout=30)
        first = await anext(aiter(watch))
        watch.cancel()

    assert now.status == first.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_that_fails_is_told() -> None:
    checks = Checks(NAMES)
    server = make_server(token=None)
    port = await serve(server, "127.0.0.1:0", NAMES, checks)
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        first = await anext(aiter(watch))
        await checks.tell(well=False)
        then = await anext(aiter(watch))
        named = await stub.Check(health_pb2.HealthCheckRequest(service=NAMES[0]), timeout=30)
        watch.cancel()
    await server.stop(None)

    assert first.status == health_pb2.HealthCheckResponse.SERVING
    assert then.status == named.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_house_that_does_not_serve_refuses_all_but_health() -> None:
    refusal = StandbyError("this scheduler stands by", leader="10.0.0.2:7420")
    server = make_server(token=None, house=House(refusal=lambda: refusal))
    script = Script()
    add_services(script, server)
    port = await serve(server, "127.0.0.1:0", NAMES)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = JobServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as unary:
            await stub.GetStats(GetStatsRequest(), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as stream:
            await anext(aiter(stub.ReadLog(ReadLogRequest(), timeout=30)))
        health = await HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    await server.stop(None)

    for refused in (unary, stream):
        error = from_rpc_error(refused.value)
        assert isinstance(error, StandbyError)
        assert error.leader == "10.0.0.2:7420"
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert script.asked == {}


async def test_calls_beyond_the_limit_are_refused_with_a_delay() -> None:
    here, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        here.set()
        await go_on.wait()

    script = Script()
    script.will("GetStats", [wait, GetStatsResponse()])
    server = make_server(token=None, calls_max=1)
    add_services(script, server)
    port = await serve(server, "127.0.0.1:0", NAMES)
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub = JobServiceStub(channel)
        first = asyncio.ensure_future(stub.GetStats(GetStatsRequest(), timeout=30))
        await here.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetStats(GetStatsRequest(), timeout=30)
        go_on.set()
        await first
        await stub.GetStats(GetStatsRequest(), timeout=30)
    await server.stop(None)

    error = from_rpc_error(caught.value)
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s > 0


@pytest.mark.parametrize("token", ["", "short"])
def test_a_token_that_keeps_nobody_out_is_refused(token: str) -> None:
    with pytest.raises(InvalidError, match="at least 16 characters"):
        make_server(token=token)


async def test_a_call_that_takes_too_long_is_ended_whatever_its_caller_waits_for() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    script = Script()
    script.will("GetStats", forever)
    async with serving(script, deadline_s=0.05) as address, open_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await JobServiceStub(channel).GetStats(GetStatsRequest())

        assert isinstance(from_rpc_error(caught.value), UnavailableError)
        assert ended.is_set()


async def test_a_stream_that_its_caller_leaves_is_closed() -> None:
    closed = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()

    script = Script()
    script.will("ReadLog", [ReadLogResponse(text="one\n"), forever])
    async with serving(script) as address, open_channel(address) as channel:
        call = JobServiceStub(channel).ReadLog(ReadLogRequest())
        assert (await anext(aiter(call))).text == "one\n"
        call.cancel()

        await asyncio.wait_for(closed.wait(), 30)


async def test_a_message_beyond_the_limit_is_refused() -> None:
    script = Script()
    script.will("ListJobs", ListJobsResponse())
    async with serving(script) as address, grpc.aio.insecure_channel(address) as unlimited:
        request = ListJobsRequest(query="x" * (MESSAGE_BYTES_MAX + 1))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await JobServiceStub(unlimited).ListJobs(request, timeout=30)

    assert isinstance(from_rpc_error(caught.value), OverloadedError)
    assert script.asked == {}


async def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = make_server(token=None)
        with pytest.raises(UnavailableError, match=f"cannot listen on {address}"):
            await serve(server, address, ())
        await server.stop(None)


async def test_error_of_a_call_that_fails_while_it_is_ended_is_not_left_over() -> None:
    loop = asyncio.get_running_loop()
    left_over: list[str] = []
    loop.set_exception_handler(lambda _, context: left_over.append(str(context)))

    await _fail_while_ended()
    gc.collect()

    assert left_over == []


async def _fail_while_ended() -> None:
    """Cancel a call in the turn of the loop in which it fails."""

    async def fail() -> NoReturn:
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(call.cancel)
        raise UnavailableError("the leadership has ended")

    call = asyncio.ensure_future(in_time(fail(), 5.0))
    await asyncio.wait({call})
    assert call.cancelled()
