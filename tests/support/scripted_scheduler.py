"""A scheduler's side of the lease stream that does what a test tells it, over real gRPC on loopback."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import grpc
from google.protobuf.duration_pb2 import Duration
from typing_extensions import override

from callsheet.v1.lease_service_pb2 import (
    Grant,
    Hello,
    LeaseRef,
    Result,
    ResultAck,
    ResultFate,
    Revoke,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceServicer, add_LeaseServiceServicer_to_server
from tests.support.patience import PATIENCE_S

Context = grpc.aio.ServicerContext[WorkRequest, WorkResponse]


class Stream:
    """One stream of a worker, as the scheduler has it."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.requests: list[WorkRequest] = []
        self.ended = asyncio.Event()
        self.answers_heartbeats = True
        self.outgoing: asyncio.Queue[WorkResponse | grpc.StatusCode] = asyncio.Queue()
        self._news = asyncio.Condition()

    async def take(self, request: WorkRequest) -> None:
        """Note what the worker said."""
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()
        if request.HasField("heartbeat") and self.answers_heartbeats:
            self.say(WorkResponse(heartbeat_ack=request.heartbeat.sequence))

    def say(self, response: WorkResponse) -> None:
        """Send something."""
        self.outgoing.put_nowait(response)

    def welcome(
        self, *, lease_ttl_s: int = 30, orphan_limit_s: int = 900, stale: Iterable[LeaseRef] = ()
    ) -> None:
        """Answer the hello."""
        self.say(
            WorkResponse(
                welcome=Welcome(
                    term=1,
                    lease_ttl=Duration(seconds=lease_ttl_s),
                    heartbeat_interval=Duration(nanos=100_000_000),
                    orphan_limit=Duration(seconds=orphan_limit_s),
                    stale=stale,
                )
            )
        )

    def grant(self, *types: str, params: str = "{}", run_limit_s: int = 60, first: int = 1) -> list[LeaseRef]:
        """Grant a job of each type; tokens count from *first*."""
        grants = [
            Grant(
                lease=LeaseRef(job_id=f"01890a5d-ac96-774b-bcce-{token:012x}", token=token),
                type=name,
                params_json=params,
                attempt=1,
                run_limit_s=run_limit_s,
            )
            for token, name in enumerate(types, first)
        ]
        self.say(WorkResponse(grants=grants))
        return [grant.lease for grant in grants]

    def revoke(self, lease: LeaseRef, *, cancelled: bool) -> None:
        """Have an attempt end."""
        self.say(WorkResponse(revokes=[Revoke(lease=lease, cancelled=cancelled)]))

    def acknowledge(
        self, lease: LeaseRef, fate: ResultFate.ValueType = ResultFate.RESULT_FATE_COMMITTED
    ) -> None:
        """Answer a result."""
        self.say(WorkResponse(result_acks=[ResultAck(lease=lease, fate=fate)]))

    def break_off(self) -> None:
        """End the stream as a scheduler does that stops."""
        self.outgoing.put_nowait(grpc.StatusCode.UNAVAILABLE)

    async def until(self, holds: Callable[[list[WorkRequest]], bool]) -> None:
        """Wait until *holds* for what the worker has said on this stream."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: holds(self.requests))

    async def result(self, lease: LeaseRef) -> Result:
        """Wait for the result of *lease*."""
        await self.until(lambda said: any(one.lease == lease for request in said for one in request.results))
        return next(one for request in self.requests for one in request.results if one.lease == lease)

    async def started(self, lease: LeaseRef) -> None:
        """Wait for the report that an attempt began."""
        await self.until(lambda said: any(one.lease == lease for request in said for one in request.started))

    async def goodbye(self) -> None:
        """Wait for the worker's goodbye."""
        await self.until(lambda said: any(request.goodbye for request in said))

    def log_of(self, lease: LeaseRef) -> str:
        """Return what has come of an attempt's log."""
        chunks = [chunk for request in self.requests for chunk in request.logs if chunk.lease == lease]
        assert [chunk.sequence for chunk in chunks] == list(range(1, len(chunks) + 1))
        return "".join(chunk.text for chunk in chunks)


class ScriptedScheduler(LeaseServiceServicer):
    """Hands each stream of a worker to the test."""

    def __init__(self) -> None:
        self.port = 0
        self._streams: asyncio.Queue[Stream] = asyncio.Queue()

    async def stream(self) -> Stream:
        """Wait for the next stream that a worker opens."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._streams.get()

    async def welcomed(self) -> Stream:
        """Wait for the next stream and answer its hello."""
        stream = await self.stream()
        stream.welcome()
        return stream

    @override
    async def Work(
        self, request_iterator: AsyncIterator[WorkRequest], context: Context
    ) -> AsyncIterator[WorkResponse]:
        stream = Stream((await anext(request_iterator)).hello)
        self._streams.put_nowait(stream)
        reading = asyncio.create_task(_read(request_iterator, stream))
        try:
            while not isinstance(response := await stream.outgoing.get(), grpc.StatusCode):
                yield response
            if response is not grpc.StatusCode.OK:
                await context.abort(response, "the test ends the stream")
        finally:
            reading.cancel()
            stream.ended.set()


async def _read(requests: AsyncIterator[WorkRequest], stream: Stream) -> None:
    async for request in requests:
        await stream.take(request)
    stream.outgoing.put_nowait(grpc.StatusCode.OK)


@asynccontextmanager
async def scripted_scheduler(port: int = 0) -> AsyncGenerator[ScriptedScheduler]:
    """Listen on loopback while the test runs."""
    scheduler = ScriptedScheduler()
    server = grpc.aio.server()
    add_LeaseServiceServicer_to_server(scheduler, server)
    scheduler.port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield scheduler
    finally:
        await server.stop(None)
