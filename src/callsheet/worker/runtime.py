"""Drives a session over gRPC: connects, runs attempts, spools results, drains."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import SystemRandom
from typing import Final

import grpc

from callsheet.service.clock import Clock
from callsheet.v1.lease_service_pb2 import Grant, Result, WorkRequest, WorkResponse
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceStub
from callsheet.worker import attempts as running
from callsheet.worker.attempts import Attempt, Attempts
from callsheet.worker.context import JobContext, Lease
from callsheet.worker.library import Roots
from callsheet.worker.processes import ChildPool
from callsheet.worker.reports import RemoteLibrary, SessionReporter
from callsheet.worker.session import (
    Command,
    ForgetResult,
    Session,
    StartAttempt,
    StopAttempt,
)
from callsheet.worker.spool import Spool

log = logging.getLogger(__name__)

#: Seconds before the first and between later attempts to connect.
RECONNECT_S: Final = (0.1, 5.0)

#: Attempts that ran so long have their result on disk before it is sent.
SPOOLED_AFTER_S: Final = 1.0

#: Seconds between two looks at the clock.
TICK_S: Final = 0.5

#: Seconds that results may take to be answered when the worker leaves.
FAREWELL_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the runtime works with."""

    channel: grpc.aio.Channel
    attempts: Attempts
    roots: Roots
    children: ChildPool
    spool: Spool
    clock: Clock
    stale_outputs: Callable[[int], None]
    """Removes what the lease of this fencing token made."""


class Runtime:
    """One worker process at work."""

    def __init__(self, session: Session, surroundings: Surroundings) -> None:
        self.session = session
        self._has = surroundings
        self._wake = asyncio.Event()
        self._running: dict[tuple[str, int], Attempt] = {}
        self._chance = SystemRandom()

    async def run(self, stop: asyncio.Event, *, drain_grace_s: float) -> None:
        """Work until *stop* is set; then finish what runs within the grace, hand back the rest, leave."""
        self.session.restore(self._has.spool.load())
        streams = asyncio.create_task(self._keep_streams())
        ticks = asyncio.create_task(self._tick())
        try:
            await stop.wait()
            self.session.drain()
            log.info("draining", extra={"running": len(self._running)})
            await self._until(lambda: not self._running, drain_grace_s)
            self._hand_back()
            await self._until(lambda: not self._running, FAREWELL_S)
            self.session.leave()
            self._wake.set()
            await self._until(lambda: self.session.idle or not self.session.connected, FAREWELL_S)
            self._wake.set()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(streams), 1.0)
        finally:
            for part in (streams, ticks):
                part.cancel()
                with suppress(asyncio.CancelledError):
                    await part

    # ---- the stream ----

    async def _keep_streams(self) -> None:
        pause_s = RECONNECT_S[0]
        while True:
            try:
                if await self._one_stream():
                    return
                pause_s = RECONNECT_S[0]
            except grpc.aio.AioRpcError as error:
                if self.session.connected:
                    pause_s = RECONNECT_S[0]
                log.warning(
                    "the scheduler is away", extra={"status": error.code().name, "why": error.details()}
                )
            self.session.lost()
            await asyncio.sleep(pause_s * self._chance.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, RECONNECT_S[1])

    async def _one_stream(self) -> bool:
        """Serve one stream; True when the worker said goodbye on it."""
        stub = LeaseServiceStub(self._has.channel)
        said_goodbye = False

        async def requests() -> AsyncIterator[WorkRequest]:
            nonlocal said_goodbye
            yield self.session.hello()
            while True:
                await self._wake.wait()
                self._wake.clear()
                load = os.getloadavg()[0] / (os.cpu_count() or 1)
                message = self.session.take(load=load, now=self._has.clock.monotonic())
                if self.session.more:
                    self._wake.set()
                if message is not None:
                    yield message
                    if message.goodbye:
                        said_goodbye = True
                        return

        call = stub.Work(requests())
        try:
            async for response in call:
                self._take(response)
        finally:
            call.cancel()
        return said_goodbye

    def _take(self, response: WorkResponse) -> None:
        first = not self.session.connected
        for command in self.session.received(response, self._has.clock.monotonic()):
            self._obey(command)
        if first and self.session.connected:
            log.info("connected", extra={"term": response.welcome.term})
        self._wake.set()

    def _obey(self, command: Command) -> None:
        match command:
            case StartAttempt():
                self._start(command.grant)
            case StopAttempt():
                attempt = self._running.get(command.lease)
                if attempt is not None and attempt.runner is not None:
                    attempt.cancelled = command.cancelled
                    attempt.stale = not command.cancelled
                    attempt.runner.cancel()
            case ForgetResult():
                self._has.spool.drop(*command.lease)
                if command.stale:
                    self._has.stale_outputs(command.lease[1])

    # ---- attempts ----

    def _start(self, grant: Grant) -> None:
        attempt = Attempt(grant=grant, began_at=self._has.clock.now())
        lease = (grant.lease.job_id, grant.lease.token)
        self._running[lease] = attempt
        self.session.started(lease, running.started(grant, attempt.began_at))
        attempt.runner = asyncio.create_task(self._run_attempt(lease, attempt))

    async def _run_attempt(self, lease: tuple[str, int], attempt: Attempt) -> None:
        reporter = SessionReporter(self.session, lease, self._has.clock, self._wake.set)
        result: Result | None = None
        try:
            result = await self._has.attempts.run(
                attempt,
                lambda: self._context(attempt.grant, reporter),
                reporter.log,
            )
            if result is not None and self._is_precious(result):
                self._has.spool.keep(result)
        finally:
            self._running.pop(lease, None)
            self.session.ended(lease, result)
            if result is None:
                self._has.stale_outputs(lease[1])
            self._wake.set()

    def _is_precious(self, result: Result) -> bool:
        """Whether doing the work again would cost more than writing its result to disk."""
        ran_s = result.ended_at.ToNanoseconds() - result.started_at.ToNanoseconds()
        return ran_s > SPOOLED_AFTER_S * 1e9 or result.completed.HasField("library")

    def _context(self, grant: Grant, reporter: SessionReporter) -> JobContext:
        lease = Lease(job_id=grant.lease.job_id, token=grant.lease.token, attempt=grant.attempt)
        return JobContext(
            lease=lease,
            report=reporter,
            library=RemoteLibrary(self._has.channel, lease),
            roots=self._has.roots,
            children=self._has.children,
        )

    # ---- time and leaving ----

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._has.clock.monotonic()
            if now >= self.session.next_beat_at():
                self._wake.set()
            if self.session.is_abandoned(now) and self._running:
                log.warning("no scheduler for too long; the attempts end")
                self._hand_back()

    def _hand_back(self) -> None:
        for attempt in self._running.values():
            attempt.returned = True
            if attempt.runner is not None:
                attempt.runner.cancel()

    async def _until(self, done: Callable[[], bool], limit_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not done():
                    await asyncio.sleep(0.02)
