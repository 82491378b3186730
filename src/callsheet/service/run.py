"""Starts a service: event loop, signals, exit code."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TypeVar

import uvloop
from pydantic import ValidationError

from callsheet.errors import CallsheetError
from callsheet.service.settings import ServiceSettings

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

#: The exit code for settings or surroundings that cannot work.
USAGE_EXIT = 2


def run(main: Callable[[asyncio.Event], Coroutine[object, object, int]]) -> int:
    """Run *main* until it returns its exit code. SIGINT and SIGTERM set the event it is given."""

    async def with_signals() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await main(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(with_signals())
        except CallsheetError as error:
            sys.stderr.write(f"{error.message}\n")
            return USAGE_EXIT


def read_settings(model: type[SettingsT]) -> SettingsT:
    """Return the settings, or end the process with a sentence that names the variable."""
    try:
        return model()
    except ValidationError as error:
        for problem in error.errors():
            name = "CALLSHEET_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name} is not right: {problem['msg']}\n")
        raise SystemExit(USAGE_EXIT) from None


def read_token(settings: ServiceSettings) -> str | None:
    """Return the join token, None where no file is named.

    Raises:
        SystemExit: The file cannot be read.
    """
    if settings.join_token_file is None:
        return None
    try:
        return settings.join_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        sys.stderr.write(f"CALLSHEET_JOIN_TOKEN_FILE cannot be read: {error}\n")
        raise SystemExit(USAGE_EXIT) from None
