"""Keeps a session's streams to the scheduler open, one after the other, and carries its messages."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from random import SystemRandom
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.channel import LeaderChannel
from callsheet.service.clock import Clock
from callsheet.v1.lease_service_pb2 import WorkRequest, WorkResponse
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceStub
from callsheet.worker.stream.commands import Command, HangUp
from callsheet.worker.stream.session import Phase, Session

log = logging.getLogger(__name__)

STREAM_END_S: Final = 2.0
"""How long the scheduler may take to end a stream after the goodbye."""

Call = grpc.aio.StreamStreamCall[WorkRequest, WorkResponse]


class Streams:
    """The streams of one session."""

    def __init__(
        self,
        session: Session,
        channel: LeaderChannel,
        clock: Clock,
        obey: Callable[[Command, Timestamp], None],
    ) -> None:
        """Open nothing yet.

        Args:
            session: What speaks.
            channel: To the scheduler.
            clock: The time.
            obey: Told each command that comes of a message, and the instant of the message.
        """
        self._session = session
        self._leases = LeaseServiceStub(channel)
        self._clock = clock
        self._obey = obey
        self._channel = channel
        self._chance = SystemRandom()
        self._call: Call | None = None
        self._hung_up = ""
        self._wake = asyncio.Event()
        self.connected = asyncio.Event()
        """Set by the first welcome."""
        self.load = 0.0
        """Of the host, for the heartbeats."""

    def wake(self) -> None:
        """Have the session asked for what there is to say."""
        self._wake.set()

    def hang_up(self, command: HangUp) -> None:
        """End the stream that is open, if there is one."""
        if self._call is not None:
            self._hung_up = command.reason
            self._call.cancel()
            if command.unheard:
                self._channel.ask_another()

    async def keep(self) -> None:
        """Serve one stream after the other until the session has left."""
        while True:
            reason = await self._one_stream()
            if self._session.phase is Phase.LEFT:
                log.info("left")
                return
            now = self._clock.monotonic()
            again_at = self._session.stream_lost(now, jitter=self._chance.random())
            log.warning("no stream to the scheduler", extra={"reason": reason})
            await self._pause(again_at - now)

    async def _pause(self, pause_s: float) -> None:
        """Wait, and meanwhile find out whether TLS is the trouble of a scheduler that was never reached."""
        explaining = asyncio.create_task(self._explain())
        try:
            await asyncio.sleep(pause_s)
        finally:
            explaining.cancel()
            await asyncio.wait({explaining})

    async def _explain(self) -> None:
        trouble = "" if self.connected.is_set() else await self._channel.trouble()
        if trouble:
            log.warning("this scheduler cannot be worked for: %s", trouble)

    async def _one_stream(self) -> str:
        """Serve one stream to its end; returns why it ended."""
        self._hung_up = ""
        call = self._call = self._leases.Work(wait_for_ready=True)
        reading, sending = asyncio.create_task(self._read(call)), asyncio.create_task(self._send(call))
        try:
            await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=STREAM_END_S)
        finally:
            self._call = None
            call.cancel()
            reading.cancel()
            sending.cancel()
            outcomes = await asyncio.gather(reading, sending, return_exceptions=True)
        return _why_ended(outcomes, self._hung_up or "the scheduler ended the stream")

    async def _read(self, call: Call) -> None:
        async for response in call:
            if response.HasField("welcome"):
                log.info("connected", extra={"term": response.welcome.term})
                self.connected.set()
            at = instant(self._clock)
            for command in self._session.received(response, self._clock.monotonic(), at):
                self._obey(command, at)
            self._wake.set()

    async def _send(self, call: Call) -> None:
        await call.write(self._session.stream_opened(self._clock.monotonic()))
        while True:
            request = self._session.flush(self._clock.monotonic(), load=self.load)
            if request is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await call.write(request)
            if request.goodbye:
                await call.done_writing()
                return


def instant(clock: Clock) -> Timestamp:
    """Return the present instant as messages have it."""
    at = Timestamp()
    set_instant(at, clock)
    return at


def set_instant(at: Timestamp, clock: Clock) -> None:
    """Let *at* be the present instant."""
    now = clock.now()
    at.seconds, at.nanos = int(now.timestamp()), now.microsecond * 1000


def _why_ended(outcomes: Iterable[BaseException | None], reason: str) -> str:
    """Return why a stream ended; *reason* where gRPC says nothing of its own.

    Raises:
        BaseException: Not the stream ended, but our code: a fault.
    """
    for outcome in outcomes:
        match outcome:
            case grpc.aio.AioRpcError():
                reason = f"{outcome.code().name}: {outcome.details()}"
            case None | asyncio.CancelledError() | asyncio.InvalidStateError() | grpc.aio.UsageError():
                pass
            case _:
                raise outcome
    return reason
