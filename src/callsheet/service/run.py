"""Starts a service: settings, token, event loop, signals, exit code."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar

import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from callsheet.errors import CallsheetError, InvalidError
from callsheet.service import telemetry
from callsheet.service.clock import SystemClock
from callsheet.service.settings import ServiceSettings
from callsheet.tls import TlsFolder

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

#: The exit code for settings or surroundings that cannot work.
USAGE_EXIT: Final = 2


def run(main: Callable[[asyncio.Event], Coroutine[object, object, int]]) -> int:
    """Run *main* until it returns its exit code. SIGINT and SIGTERM set the event it is given.

    An error of the tree that leaves *main* is written as one sentence and ends the service.
    """

    async def with_signals() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await main(stop)

    telemetry.set_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(with_signals())
        except CallsheetError as error:
            sys.stderr.write(f"{error.message}\n")
            return USAGE_EXIT
        finally:
            telemetry.shut_down()


def read_settings(model: type[SettingsT]) -> SettingsT:
    """Return the settings, or end the process with a sentence that names the variable."""
    try:
        return model()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            message = problem["msg"].removeprefix("Value error, ")
            name = "CALLSHEET_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name} is not right: {message}\n" if problem["loc"] else f"{message}\n")
        raise SystemExit(USAGE_EXIT) from None
    except SettingsError as error:
        sys.stderr.write(f"{_named(str(error))} is not JSON; see docs/reference/settings.md\n")
        raise SystemExit(USAGE_EXIT) from None


def _named(text: str) -> str:
    """Return the variable of the field that a message of pydantic-settings quotes."""
    _, _, rest = text.partition('field "')
    return "CALLSHEET_" + rest.partition('"')[0].upper()


def read_token(settings: ServiceSettings) -> str | None:
    """Return the join token, None where no file is named.

    Raises:
        SystemExit: The file cannot be read, or holds nothing that could be a token.
    """
    if settings.join_token_file is None:
        return None
    try:
        token = settings.join_token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        sys.stderr.write(f"CALLSHEET_JOIN_TOKEN_FILE cannot be read: {error}\n")
        raise SystemExit(USAGE_EXIT) from None
    if not token.isprintable() or " " in token or not token:
        sys.stderr.write(f"CALLSHEET_JOIN_TOKEN_FILE: {settings.join_token_file} holds no token\n")
        raise SystemExit(USAGE_EXIT)
    return token


def read_tls(settings: ServiceSettings) -> TlsFolder | None:
    """Return the certificates, None where no folder is named.

    Raises:
        SystemExit: A file cannot be used, or nobody would trust them at this time.
    """
    if settings.tls_dir is None:
        return None
    try:
        folder = TlsFolder(settings.tls_dir)
        trouble = folder.newest.trouble(SystemClock().now())
    except InvalidError as error:
        trouble = error.message
    else:
        if not trouble:
            return folder
    sys.stderr.write(f"CALLSHEET_TLS_DIR: {trouble}\n")
    raise SystemExit(USAGE_EXIT)
