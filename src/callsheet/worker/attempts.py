"""Runs one attempt: parameters, processor, stop, and the report of its end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from callsheet.errors import AttemptCancelledError, AttemptError, LeaseLostError, TransientError
from callsheet.v1.lease_service_pb2 import Grant, Result
from callsheet.worker.commands import LeaseKey, StopReason
from callsheet.worker.context import JobContext
from callsheet.worker.endings import as_attempt_error, bad_params, completed, failed, last_words
from callsheet.worker.processor import Outcome
from callsheet.worker.registry import AnyProcessor
from callsheet.worker.reports import SessionReporter


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One attempt under way."""

    key: LeaseKey
    grant: Grant
    began_at: float
    """In monotonic seconds."""
    started_at: Timestamp
    stop: StopReason | None = None
    runner: "asyncio.Task[None] | None" = None
    begun: bool = False
    over: bool = False
    """The processor has returned; cancelling would only disturb the report."""

    def end(self, reason: StopReason) -> None:
        """Have it end as soon as it can."""
        first = self.stop is None
        self.stop = reason
        if first and self.begun and not self.over and self.runner is not None:
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
        result = Result(lease=attempt.grant.lease, started_at=attempt.started_at)
        attempt.begun = True
        try:
            outcome = await self._process(attempt, context)
            result.completed.CopyFrom(completed(outcome))
        except (asyncio.CancelledError, Exception) as cause:
            if attempt.stop is not None:
                _stopped(attempt, attempt.stop, result, report)
            elif isinstance(cause, LeaseLostError):
                result.returned.reason = "The lease was lost"
            elif isinstance(cause, asyncio.CancelledError) and _is_being_cancelled():
                raise
            else:
                _fail(as_attempt_error(cause), cause, result, report)
        finally:
            attempt.over = True
        return result

    async def _process(self, attempt: Attempt, context: JobContext) -> Outcome:
        if attempt.stop is not None:
            raise AttemptCancelledError("stopped before it began")
        grant = attempt.grant
        processor = self._processors.get(grant.type)
        if processor is None:
            raise TransientError(f"this worker has no processor for {grant.type}")
        try:
            params = processor.job_type.params.model_validate_json(grant.params_json or "{}")
        except ValidationError as error:
            raise bad_params(error) from error
        return await processor.process(params, context)


def _stopped(attempt: Attempt, reason: StopReason, result: Result, report: SessionReporter) -> None:
    match reason:
        case StopReason.CANCELLED:
            error: AttemptError = AttemptCancelledError("Cancelled on request")
        case StopReason.RUN_LIMIT:
            limit_s = attempt.grant.run_limit_s
            error = TransientError(f"It did not end within its run limit of {limit_s:,} s")
        case StopReason.DRAIN:
            result.returned.reason = "The worker is shutting down"
            return
        case StopReason.SILENCE | StopReason.STALE:
            result.returned.reason = "The worker heard nothing from the scheduler for too long"
            return
    _fail(error, error, result, report)


def _fail(error: AttemptError, cause: BaseException, result: Result, report: SessionReporter) -> None:
    report.close(last_words(error, cause))
    result.failed.CopyFrom(failed(error))


def _is_being_cancelled() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
