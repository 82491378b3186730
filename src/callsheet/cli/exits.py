"""The exit codes of the command line, which scripts may rely on."""

from enum import IntEnum
from typing import Final

from callsheet.errors import (
    CallsheetError,
    ConflictError,
    DeniedError,
    InvalidError,
    OverloadedError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    STATE = 4
    DENIED = 5
    INTERRUPTED = 130


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the job failed or was cancelled, there is no such thing, or a law is broken",
    ExitCode.USAGE: "the command or its input is wrong",
    ExitCode.UNREACHABLE: "no scheduler answers, or it is full; trying again may help",
    ExitCode.STATE: "not possible in the present state",
    ExitCode.DENIED: "the join token is missing or wrong",
    ExitCode.INTERRUPTED: "interrupted",
}
"""Each code in words, for the help."""

_BY_ERROR: Final[tuple[tuple[type[CallsheetError], ExitCode], ...]] = (
    (InvalidError, ExitCode.USAGE),
    (UnavailableError, ExitCode.UNREACHABLE),
    (OverloadedError, ExitCode.UNREACHABLE),
    (StateError, ExitCode.STATE),
    (ConflictError, ExitCode.STATE),
    (UnauthenticatedError, ExitCode.DENIED),
    (DeniedError, ExitCode.DENIED),
)


def exit_code_of(error: CallsheetError) -> ExitCode:
    """Return the code that stands for *error*; FAILED where none is named."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)
