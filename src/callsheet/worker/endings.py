"""What goes into an attempt and what is reported of its end, as messages have it: pure."""

import asyncio
import errno
import traceback
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from callsheet.errors import (
    AttemptCancelledError,
    AttemptError,
    BadInputError,
    CapacityError,
    OverloadedError,
    TransientError,
    UnavailableError,
)
from callsheet.service.plain import plain_line
from callsheet.v1.job_pb2 import FailureKind, StopRung
from callsheet.v1.lease_service_pb2 import Completed, Failed, Grant, Output, Result
from callsheet.v1.lease_service_pb2 import Yielded as YieldedMessage
from callsheet.v1.library_service_pb2 import LibraryChanges
from callsheet.worker.context import checkpoint_text
from callsheet.worker.processor import BrokenMediaError, Outcome, Yielded

RESULT_BYTES_MAX: Final = 64 * 1024
"""Bytes of a job's result as JSON."""
FOLLOW_UPS_MAX: Final = 1000
"""Jobs that one attempt may submit."""
OUTPUTS_MAX: Final = 100
"""Files that one attempt may have put where they were asked for."""
COMPLETED_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bytes of everything that a completed attempt reports."""
REASON_CHARS_MAX: Final = 1000
"""Characters of a failure's reason."""
TRACE_CHARS_MAX: Final = 4000
"""Characters of a stack trace in the log; the end is kept."""

_OUT_OF_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_NOTHING: Final = Outcome()
_OBJECT: Final = TypeAdapter(dict[str, JsonValue])


def complete(message: Completed, outcome: Outcome, outputs: Sequence[Output] = ()) -> None:
    """Put an outcome into an empty message, with the *outputs* that are asked for by path.

    Raises:
        AttemptError: It is larger than can be reported; a fault of the processor.
    """
    if outcome == _NOTHING and not outputs:
        message.result_json = "{}"
        return
    text = to_json(dict(outcome.result))
    if len(text) > RESULT_BYTES_MAX:
        raise AttemptError(f"the result has {len(text):,} bytes as JSON; the limit is {RESULT_BYTES_MAX:,}")
    if len(outcome.follow_ups) > FOLLOW_UPS_MAX:
        raise AttemptError(f"{len(outcome.follow_ups):,} follow-up jobs; the limit is {FOLLOW_UPS_MAX:,}")
    if len(outputs) > OUTPUTS_MAX:
        raise AttemptError(f"{len(outputs):,} outputs asked for by path; the limit is {OUTPUTS_MAX:,}")
    message.result_json = text.decode()
    message.follow_ups.extend(outcome.follow_ups)
    message.outputs.extend(outputs)
    if outcome.items or outcome.derivatives or outcome.broken or outcome.tags:
        changes = LibraryChanges(
            items=outcome.items,
            derivatives=outcome.derivatives,
            broken=outcome.broken,
            tags=outcome.tags,
        )
        message.library.CopyFrom(changes)
    if message.ByteSize() > COMPLETED_BYTES_MAX:
        raise AttemptError(
            f"the report has {message.ByteSize():,} bytes; the limit is {COMPLETED_BYTES_MAX:,}"
        )


def yielded(outcome: Yielded) -> YieldedMessage:
    """Return what a job that yields reports as a message.

    Raises:
        AttemptError: It is larger than can be reported, or yields to nobody; a fault of the processor.
    """
    if not 0 < len(outcome.children) <= FOLLOW_UPS_MAX:
        raise AttemptError(
            f"it yields to {len(outcome.children):,} jobs; 1 to {FOLLOW_UPS_MAX:,} are allowed"
        )
    message = YieldedMessage(children=outcome.children, checkpoint_json=checkpoint_text(outcome.checkpoint))
    if message.ByteSize() > COMPLETED_BYTES_MAX:
        raise AttemptError(
            f"the report has {message.ByteSize():,} bytes; the limit is {COMPLETED_BYTES_MAX:,}"
        )
    return message


def failed(error: AttemptError) -> Failed:
    """Return a failure as a message."""
    message = Failed(
        kind=FailureKind.Value(f"FAILURE_KIND_{error.kind}"),
        reason=plain_line(error.message)[:REASON_CHARS_MAX],
    )
    if isinstance(error, BrokenMediaError):
        message.library.CopyFrom(LibraryChanges(broken=error.broken))
    return message


def cancelled(rung: StopRung.ValueType) -> Failed:
    """Return the message of an attempt that ended because its job was cancelled."""
    message = failed(AttemptCancelledError("Cancelled on request"))
    message.stop_rung = rung
    return message


def keeps_something(result: Result) -> bool:
    """Return whether more than the job's state depends on a result."""
    match result.WhichOneof("outcome"):
        case "completed":
            return len(result.completed.ListFields()) > 1  # its JSON is always there
        case "returned":
            return bool(result.returned.checkpoint_json)
        case outcome:
            return outcome in {"paused", "yielded"}


def as_attempt_error(error: BaseException) -> AttemptError:
    """Return the failure that an exception which ended an attempt stands for."""
    match error:
        case AttemptError():
            return error
        case asyncio.CancelledError():
            return AttemptError("the processor cancelled itself")
        case UnavailableError() | OverloadedError():
            return TransientError(error.message)
        case MemoryError():
            return CapacityError("out of memory; lower the worker's slots or give its host more")
        case OSError(errno=number) if number in _OUT_OF_ROOM:
            return CapacityError(f"{error.strerror}; make room on the worker's host")
        case _:
            return AttemptError(f"{type(error).__name__}: {error}")


def checkpoint_of(grant: Grant) -> dict[str, JsonValue] | None:
    """Return what an earlier, paused attempt kept; None where there was none.

    Raises:
        AttemptError: It is no JSON object.
    """
    if not grant.checkpoint_json:
        return None
    try:
        return _OBJECT.validate_json(grant.checkpoint_json)
    except ValidationError as error:
        raise AttemptError("the checkpoint is no JSON object") from error


def bad_params(error: ValidationError) -> BadInputError:
    """Return the failure that parameters which the job type refuses stand for."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "params"
    return BadInputError(f"parameter {where}: {problem['msg']}; correct it and submit the job again")


def last_words(error: AttemptError, cause: BaseException) -> str:
    """Return what the log of a failed attempt ends with; a fault of the code leaves its trace."""
    trace = ""
    if type(error) is AttemptError:
        trace = "".join(traceback.format_exception(cause))[-TRACE_CHARS_MAX:]
    return f"{trace}--- ERROR ---\n{plain_line(error.message)}"
