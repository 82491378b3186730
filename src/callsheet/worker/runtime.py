"""Drives a session over gRPC: streams, attempts, the spool, the clock, and the drain."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.channel import LeaderChannel
from callsheet.service import logs, telemetry
from callsheet.service.clock import Clock
from callsheet.service.spans import TRACEPARENT
from callsheet.v1.lease_service_pb2 import Grant, Placed, Result
from callsheet.worker.attempts import Attempt, Attempts
from callsheet.worker.children import AttemptChildren
from callsheet.worker.context import JobContext
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.endings import cancelled, keeps_something
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.lease import Lease
from callsheet.worker.leftovers import LeaseQuestions, keep_clean
from callsheet.worker.placing import Placer
from callsheet.worker.reports import Remote, SessionReporter
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.storage.library import Roots
from callsheet.worker.streak import Streak
from callsheet.worker.stream.commands import (
    Command,
    ForgetResults,
    HangUp,
    LeaseKey,
    Leave,
    PlaceOutputs,
    StartAttempts,
    StopAttempt,
    StopReason,
)
from callsheet.worker.stream.devices import DeviceShare, Look
from callsheet.worker.stream.session import Session
from callsheet.worker.stream.spool import Spool
from callsheet.worker.stream.streams import Streams, instant, set_instant
from callsheet.worker.withdrawals import Withdrawals

log = logging.getLogger(__name__)

SPOOLED_AFTER_S: Final = 1.0
"""Attempts that ran longer have their result on disk before it is sent."""
TICK_S: Final = 0.25
"""Seconds between two looks at the clock; how late a run limit may strike."""

DISCARDED: Final = frozenset({StopReason.STALE, StopReason.CANCELLED})
"""After these, nothing that the attempt made counts, even where it was done in the same instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the runtime works with."""

    worker_id: str
    channel: LeaderChannel
    attempts: Attempts
    roots: Roots
    children: ChildPool
    urgent: ChildPool
    """Decode children for jobs whose results somebody waits for."""
    spool: Spool
    clock: Clock
    library_deadline_s: float = 30.0
    ask_grace_s: float = 1.0
    """How long an attempt that is to end may let a child process come to the end of its work."""
    sweep_interval_s: float = 6 * 3600.0
    """How often what killed workers left is looked for."""
    attempts_max: int = 0
    """Attempts after which the worker drains itself; 0 for any number."""
    failures_max: int = 0
    """Failures in a row after which the worker drains itself; 0 for any number."""
    encoding: EncodingLimits = field(default_factory=EncodingLimits)
    """What attempts may make."""
    inference: InferenceLimits = field(default_factory=InferenceLimits)
    """Where models lie, and what running one may take."""
    look: Callable[[], Look | None] = lambda: None
    """Gives the newest look at the cards."""
    beat: Callable[[float], None] = lambda _: None
    """Told at every tick how long, in seconds, the worker may stay silent before its children end."""


class Runtime:
    """One worker process at work."""

    def __init__(self, session: Session, surroundings: Surroundings) -> None:
        self.session = session
        self._has = surroundings
        self._remote = Remote(surroundings.channel, surroundings.worker_id, surroundings.library_deadline_s)
        self._streams = Streams(
            session,
            surroundings.channel,
            surroundings.clock,
            self._obey,
        )
        self._left = asyncio.Event()
        self._attempts: dict[LeaseKey, Attempt] = {}
        self._withdrawals = Withdrawals(surroundings.roots)
        self._placer = Placer(surroundings.roots, self._placed)
        self._seen: Look | None = None
        self._streak = Streak(surroundings.failures_max)
        self._done = 0
        self._grace_s = 0.0
        self.unfit = False
        """It drains because too many attempts failed in a row."""

    async def run(self, stop: asyncio.Event, *, drain_grace_s: float) -> None:
        """Work until *stop* is set, then drain; set a second time, it cuts the drain short."""
        self._grace_s = drain_grace_s
        async with asyncio.TaskGroup() as group:
            work = self._keep_stay(), self._keep_time(), self._keep_clean()
            parts = [group.create_task(part) for part in (*work, self._await_stop(stop, drain_grace_s))]
            await self._left.wait()
            for part in parts:
                part.cancel()
        for attempt in self._attempts.values():
            if attempt.runner is not None:
                attempt.runner.cancel()
        runners = [one.runner for one in self._attempts.values() if one.runner is not None]
        await asyncio.gather(*runners, return_exceptions=True)
        await self._withdrawals.done()
        await self._placer.close()

    async def _keep_stay(self) -> None:
        await self._streams.keep()
        self._left.set()

    async def _await_stop(self, stop: asyncio.Event, drain_grace_s: float) -> None:
        await stop.wait()
        stop.clear()
        log.info("draining", extra={"running": self.session.running, "grace_s": drain_grace_s})
        self._drain(drain_grace_s)
        await stop.wait()
        log.info("stopping at once", extra={"running": self.session.running})
        self._drain(0.0)

    def _drain(self, grace_s: float) -> None:
        self.session.drain(self._has.clock.monotonic(), grace_s=grace_s)
        self._tick()

    async def _keep_time(self) -> None:
        while True:
            self._streams.load = os.getloadavg()[0] / (os.cpu_count() or 1)
            self._see(self._has.look())
            self._tick()
            self._has.beat(self.session.pulse.lease_ttl_s)
            await asyncio.sleep(TICK_S)

    def _tick(self) -> None:
        for command in self.session.tick(self._has.clock.monotonic()):
            self._obey(command, instant(self._has.clock))
        self._streams.wake()

    def _see(self, look: Look | None) -> None:
        """Take in a look at the cards once, and say what changed about them."""
        if look is None:
            return
        if look is not self._seen:
            self._seen = look
            for attempt in self._attempts.values():
                attempt.measure(look)
            for command in self.session.looked(look):
                self._obey(command, instant(self._has.clock))
        for sentence in self.session.cards.news(self._has.clock.monotonic()):
            log.warning(sentence)

    async def _keep_clean(self) -> None:
        has = self._has
        questions = LeaseQuestions(self._remote.jobs, self._remote.items, deadline_s=has.library_deadline_s)
        await self._streams.connected.wait()
        await keep_clean(has.roots, questions.standing, interval_s=has.sweep_interval_s)

    # Commands

    def _obey(self, command: Command, at: Timestamp) -> None:
        match command:
            case StartAttempts():
                now = self._has.clock.monotonic()
                for grant in command.grants:
                    self._start(grant, now, at)
            case StopAttempt():
                self._stop(command)
            case ForgetResults():
                self._forget(command)
            case PlaceOutputs():
                self._placer.take(command.outputs)
            case HangUp():
                self._streams.hang_up(command)
            case Leave():
                log.info("leaving without a goodbye", extra={"undelivered": command.undelivered})
                self._left.set()

    # Attempts

    def _start(self, grant: Grant, now: float, at: Timestamp) -> None:
        lease = grant.lease
        key = lease.job_id, lease.token
        attempt = self._attempts[key] = Attempt(key=key, grant=grant, began_at=now, started_at=at)
        attempt.runner = asyncio.create_task(self._run(attempt))

    def _stop(self, command: StopAttempt) -> None:
        attempt = self._attempts.get(command.key)
        if attempt is not None:
            attempt.end(command.reason, ask_grace_s=self._has.ask_grace_s)

    def _forget(self, command: ForgetResults) -> None:
        self._has.spool.drop(command.results)
        if command.remove_outputs:
            for result in command.results:
                self._withdrawals.published(result)

    async def _run(self, attempt: Attempt) -> None:
        job_id, token = attempt.key
        logs.about(job=job_id, lease=token)
        result = await (self._traced(attempt) if telemetry.is_on() else self._attempt(attempt))
        self._ended(attempt, result)

    async def _traced(self, attempt: Attempt) -> Result:
        job_id, token = attempt.key
        with telemetry.span(f"attempt {attempt.grant.type}", _trace_of(attempt.grant)) as span:
            span.add({"job.id": job_id, "lease": token, "job.attempt": attempt.grant.attempt})
            result = await self._attempt(attempt)
            span.add({"outcome": result.WhichOneof("outcome") or ""})
        return result

    async def _attempt(self, attempt: Attempt) -> Result:
        has = self._has
        report = SessionReporter(self.session, attempt.key, has.clock, self._streams.wake)
        context = self._context(attempt, report)
        result = await has.attempts.run(attempt, context, report)
        set_instant(result.ended_at, has.clock)
        if attempt.stop.reason in DISCARDED or not result.HasField("completed"):
            self._withdrawals.published(result)
            self._withdrawals.files(result, context.outputs)
        if attempt.stop.reason in DISCARDED and result.WhichOneof("outcome") in {"completed", "yielded"}:
            result.failed.CopyFrom(cancelled(attempt.stop.rung))
        if has.clock.monotonic() - attempt.began_at > SPOOLED_AFTER_S or keeps_something(result):
            await self._spool(result)
        if attempt.stop.reason is StopReason.STALE:  # perhaps since it is spooled
            self._forget(ForgetResults(results=[result], remove_outputs=True))
        return result

    def _ended(self, attempt: Attempt, result: Result) -> None:
        del self._attempts[attempt.key]
        self.session.attempt_ended(attempt.key, result)
        self._streams.wake()
        if self._streak.add(result):
            self.unfit = True
            failed = {"failures": self._streak.failures, "reason": result.failed.reason}
            log.error("too many attempts in a row have failed: the worker drains itself", extra=failed)
            self._drain(self._grace_s)
        self._done += 1
        if self._done == self._has.attempts_max:
            log.info("has done as many attempts as it may: it drains itself", extra={"attempts": self._done})
            self._drain(self._grace_s)

    def _context(self, attempt: Attempt, report: SessionReporter) -> JobContext:
        has, grant = self._has, attempt.grant
        job_id, token = attempt.key
        lease = Lease(job_id=job_id, token=token, attempt=grant.attempt, collection=grant.collection)
        attempt.children = AttemptChildren(
            has.urgent if grant.interactive else has.children,
            attempt.stop,
            grant.device_uuid,
            background=not grant.interactive,
        )
        return JobContext(
            lease=lease,
            report=report,
            library=self._remote.library(lease),
            queue=self._remote.queue(lease),
            roots=has.roots,
            children=attempt.children,
            stop=attempt.stop,
            device=_share_of(grant),
            limits=has.encoding,
            inference=has.inference,
            priority=grant.priority,
            interactive=grant.interactive,
            outputs=[],
        )

    def _placed(self, placed: Placed) -> None:
        if placed.problem:
            log.warning("an output could not be placed", extra={"reason": placed.problem})
        self.session.output_placed(placed)
        self._streams.wake()

    async def _spool(self, result: Result) -> None:
        try:
            await asyncio.to_thread(self._has.spool.keep, result)
        except OSError as error:
            log.warning("a result could not be spooled", extra={"reason": error.strerror})


def _trace_of(grant: Grant) -> dict[str, str]:
    return {TRACEPARENT: grant.traceparent} if grant.traceparent else {}


def _share_of(grant: Grant) -> DeviceShare | None:
    """Return what a grant gives of a card; None where it gives none."""
    if not grant.device_uuid:
        return None
    return DeviceShare(
        uuid=grant.device_uuid, vram_mib=grant.vram_mib, encoder_sessions=grant.encoder_sessions
    )
