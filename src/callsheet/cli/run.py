"""Runs a command's coroutine and turns errors into sentences and exit codes."""

import asyncio
import sys
from collections.abc import Coroutine
from enum import IntEnum

import typer

from callsheet.errors import (
    CallsheetError,
    DeniedError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """What scripts can rely on."""

    OK = 0
    FAILED = 1
    """The job failed, or there is no such thing."""
    USAGE = 2
    """Wrong use or invalid input."""
    UNREACHABLE = 3
    """No scheduler answers, or it is overloaded."""
    STATE = 4
    """Not possible in the present state."""
    DENIED = 5
    """No good credential."""
    INTERRUPTED = 130


EXIT_CODES: dict[type[CallsheetError], ExitCode] = {
    InvalidError: ExitCode.USAGE,
    NotFoundError: ExitCode.FAILED,
    StateError: ExitCode.STATE,
    UnavailableError: ExitCode.UNREACHABLE,
    OverloadedError: ExitCode.UNREACHABLE,
    UnauthenticatedError: ExitCode.DENIED,
    DeniedError: ExitCode.DENIED,
}


def run(command: Coroutine[object, object, int | None]) -> None:
    """Run *command* and end the process with its exit code."""
    try:
        code = asyncio.run(command)
    except CallsheetError as error:
        where = f"{error.field}: " if isinstance(error, InvalidError) and error.field else ""
        sys.stderr.write(f"callsheet: {where}{error.message}\n")
        raise typer.Exit(
            next((c for k, c in EXIT_CODES.items() if isinstance(error, k)), ExitCode.FAILED)
        ) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    raise typer.Exit(code or 0)
