"""Runs one attempt: parameters, processor, stop, and the report of its end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from callsheet.errors import AttemptError, LeaseLostError, TransientError
from callsheet.v1.lease_service_pb2 import Grant, Result
from callsheet.worker.children import AttemptChildren
from callsheet.worker.context import JobContext
from callsheet.worker.endings import (
    as_attempt_error,
    bad_params,
    cancelled,
    checkpoint_of,
    complete,
    failed,
    last_words,
    yielded,
)
from callsheet.worker.processor import Outcome, Yielded
from callsheet.worker.registry import AnyProcessor
from callsheet.worker.reports import SessionReporter
from callsheet.worker.stopping import PausedHereError, Stop
from callsheet.worker.stream.commands import LeaseKey, StopReason
from callsheet.worker.stream.devices import Look


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One attempt under way."""

    key: LeaseKey
    grant: Grant
    began_at: float
    """In monotonic seconds."""
    started_at: Timestamp
    stop: Stop = field(default_factory=Stop)
    runner: "asyncio.Task[None] | None" = None
    ending: "asyncio.Task[None] | None" = None
    children: AttemptChildren | None = None
    peak_vram_mib: int = 0
    """The most that its programs were seen to hold of its GPU."""
    begun: bool = False
    over: bool = False
    """The processor has returned; cancelling would only disturb the report."""

    def measure(self, look: Look) -> None:
        """Take from a look at the cards how much the attempt holds of its own."""
        if not self.grant.device_uuid or self.children is None:
            return
        seen = look.of(self.grant.device_uuid)
        if seen is not None and seen.reading is not None:
            used_mib = seen.reading.used_below(frozenset(self.children.pids))
            self.peak_vram_mib = max(self.peak_vram_mib, used_mib or 0)

    def end(self, reason: StopReason, *, ask_grace_s: float) -> None:
        """Have it end as soon as it can; a pause only asks, which the next checkpoint answers.

        A child process in the midst of its work may come to the end of it within *ask_grace_s*; then
        the processor is cancelled, which ends the child.
        """
        if self.stop.ask(reason, begun=self.begun) and self.begun and not self.over:
            self.ending = asyncio.create_task(self._press(ask_grace_s))

    async def _press(self, ask_grace_s: float) -> None:
        await self.stop.childless(ask_grace_s)
        if self.runner is not None and not self.over:
            self.stop.pressed = True
            self.runner.cancel()


class Attempts:
    """Runs attempts, many at once."""

    def __init__(self, processors: Mapping[str, AnyProcessor]) -> None:
        self._processors = processors

    async def run(self, attempt: Attempt, context: JobContext, report: SessionReporter) -> Result:
        """Run *attempt* and return what to report, without the instant of its end.

        Raises:
            asyncio.CancelledError: The worker itself is being ended.
        """
        result = Result()
        result.lease.CopyFrom(attempt.grant.lease)
        result.started_at.CopyFrom(attempt.started_at)
        attempt.begun = True
        try:
            outcome = await self._process(attempt, context)
            if isinstance(outcome, Yielded):
                result.yielded.CopyFrom(yielded(outcome))
                report.close(f"--- YIELDED --- waits for {len(outcome.children):,} jobs")
            else:
                complete(result.completed, outcome, context.outputs)
        except (asyncio.CancelledError, Exception) as cause:
            if attempt.stop.ending:
                _stopped(attempt, result, report)
            elif isinstance(cause, PausedHereError):
                _kept(attempt, cause.message, result, report)
            elif isinstance(cause, LeaseLostError):
                result.returned.reason = "The lease was lost"
            elif isinstance(cause, asyncio.CancelledError) and _is_being_cancelled():
                raise
            else:
                _fail(as_attempt_error(cause), cause, result, report)
        finally:
            attempt.over = True
        result.peak_vram_mib = attempt.peak_vram_mib
        return result

    async def _process(self, attempt: Attempt, context: JobContext) -> Outcome | Yielded:
        attempt.stop.check()
        grant = attempt.grant
        processor = self._processors.get(grant.type)
        if processor is None:
            raise TransientError(f"this worker has no processor for {grant.type}")
        context.checkpoint = checkpoint_of(grant)
        try:
            params = processor.job_type.params.model_validate_json(grant.params_json or "{}")
        except ValidationError as error:
            raise bad_params(error) from error
        return await processor.process(params, context)


def _kept(attempt: Attempt, checkpoint: str, result: Result, report: SessionReporter) -> None:
    if attempt.stop.reason is StopReason.PAUSED:
        result.paused.checkpoint_json = checkpoint
        report.close("--- PAUSED ---")
    else:
        result.returned.reason = "The worker is drained; the job goes on from its checkpoint"
        result.returned.checkpoint_json = checkpoint


def _stopped(attempt: Attempt, result: Result, report: SessionReporter) -> None:
    match attempt.stop.reason:
        case StopReason.CANCELLED:
            result.failed.CopyFrom(cancelled(attempt.stop.rung))
            report.close(f"--- CANCELLED ---\n{result.failed.reason}")
        case StopReason.RUN_LIMIT:
            limit_s = attempt.grant.run_limit_s
            error = TransientError(f"It did not end within its run limit of {limit_s:,} s")
            _fail(error, error, result, report)
        case StopReason.DRAIN:
            result.returned.reason = "The worker is drained"
        case _:
            result.returned.reason = "The worker heard nothing from the scheduler for too long"


def _fail(error: AttemptError, cause: BaseException, result: Result, report: SessionReporter) -> None:
    report.close(last_words(error, cause))
    result.failed.CopyFrom(failed(error))


def _is_being_cancelled() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
