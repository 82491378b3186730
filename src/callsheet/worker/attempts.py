"""Runs attempts: parameters, limits, cancellation, and what is reported of the end."""

import asyncio
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError
from pydantic_core import to_json

from callsheet.errors import (
    AttemptCancelledError,
    AttemptError,
    BadInputError,
    LeaseLostError,
    TransientError,
    UnavailableError,
)
from callsheet.service.clock import Clock
from callsheet.v1.job_pb2 import FailureKind
from callsheet.v1.lease_service_pb2 import (
    Completed,
    Failed,
    Grant,
    LeaseRef,
    Result,
    Returned,
    Started,
)
from callsheet.v1.library_service_pb2 import LibraryChanges
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome
from callsheet.worker.registry import AnyProcessor

#: Bytes of a job's result.
RESULT_BYTES_MAX = 64 * 1024


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One attempt under way."""

    grant: Grant
    began_at: datetime
    cancelled: bool = False
    stale: bool = False
    returned: bool = False
    runner: "asyncio.Task[None] | None" = field(default=None)


class Attempts:
    """Runs one attempt after another, many at once."""

    def __init__(self, processors: Mapping[str, AnyProcessor], clock: Clock) -> None:
        self._processors = processors
        self._clock = clock

    async def run(
        self,
        attempt: Attempt,
        context: Callable[[], JobContext],
        log: Callable[[str], None],
    ) -> Result | None:
        """Run *attempt* and return what to report; None for nothing, as its lease is stale."""
        grant = attempt.grant
        result = Result(lease=grant.lease, started_at=stamp(attempt.began_at))
        try:
            async with asyncio.timeout(grant.run_limit_s):
                outcome = await self._process(grant, context())
            result.completed.CopyFrom(completed(outcome))
        except asyncio.CancelledError:
            if attempt.stale:
                return None
            if attempt.returned:
                result.returned.CopyFrom(Returned(reason="The worker stops"))
            else:
                result.failed.CopyFrom(_failed(AttemptCancelledError("cancelled"), log))
        except LeaseLostError:
            return None
        except Exception as error:  # the one place where a fault of a processor may end
            result.failed.CopyFrom(_failed(_as_attempt_error(error, grant.run_limit_s), log))
        result.ended_at.CopyFrom(stamp(self._clock.now()))
        return result

    async def _process(self, grant: Grant, context: JobContext) -> Outcome:
        processor = self._processors.get(grant.type)
        if processor is None:
            message = f"this worker has no processor for {grant.type}"
            raise TransientError(message)
        try:
            params = processor.job_type.params.model_validate_json(grant.params_json or "{}")
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            message = f"parameter {where}: {problem['msg']}"
            raise BadInputError(message) from error
        return await processor.process(params, context)


def completed(outcome: Outcome) -> Completed:
    """Return an outcome as a message.

    Raises:
        BadInputError: The result is larger than may be kept.
    """
    text = to_json(dict(outcome.result))
    if len(text) > RESULT_BYTES_MAX:
        message = f"the result has {len(text)} bytes; at most {RESULT_BYTES_MAX} are kept"
        raise BadInputError(message)
    message = Completed(result_json=text.decode(), follow_ups=outcome.follow_ups)
    if outcome.items or outcome.derivatives or outcome.broken:
        message.library.CopyFrom(
            LibraryChanges(
                items=outcome.items,
                derivatives=outcome.derivatives,
                broken=outcome.broken,
            ),
        )
    return message


def stamp(at: datetime) -> Timestamp:
    """Return an instant as a message."""
    message = Timestamp()
    message.FromDatetime(at)
    return message


def started(grant: Grant, at: datetime) -> Started:
    """Return the report of a start."""
    return Started(lease=LeaseRef(job_id=grant.lease.job_id, token=grant.lease.token), started_at=stamp(at))


def _failed(error: AttemptError, log: Callable[[str], None]) -> Failed:
    if not isinstance(error, AttemptCancelledError):
        log(f"--- ERROR ---\n{error.message}")
    kind = FailureKind.Value(f"FAILURE_KIND_{error.kind}")
    return Failed(kind=kind, reason=error.message[:1000])


def _as_attempt_error(error: Exception, run_limit_s: int) -> AttemptError:
    if isinstance(error, AttemptError):
        return error
    if isinstance(error, TimeoutError):
        message = f"the attempt did not end within its run limit of {run_limit_s} s"
        return TransientError(message)
    if isinstance(error, UnavailableError):
        return TransientError(error.message)
    where = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return AttemptError(message)
