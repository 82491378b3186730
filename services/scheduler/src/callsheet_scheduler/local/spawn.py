"""Starts programs that end with this process, their output in a file."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet.within import within
from callsheet_scheduler.local.accounts import Account

_LAUNCHER: Final = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and how."""

    arguments: tuple[str, ...]
    """The absolute path of the program and its arguments."""
    environment: Mapping[str, str]
    """All of its environment."""
    account: Account | None = None
    """Whom to become first; None to stay."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when this process ends, in whatever way."""
    folder: str = "/"
    """Its working folder; the account need not be able to enter ours."""


async def start_program(program: Program, *, log: Path) -> asyncio.subprocess.Process:
    """Start *program* in a session of its own; its output is appended to *log*.

    Must be called from a thread that lives as long as the process: the kernel watches the thread.

    Raises:
        OSError: The log cannot be opened or no process can be made.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return await _start(program, output=descriptor)
    finally:
        os.close(descriptor)


async def run_program(program: Program, *, deadline_s: float) -> tuple[int, str]:
    """Run *program* to its end and return its exit status and all it wrote.

    Raises:
        TimeoutError: It took longer than *deadline_s* seconds; it was killed.
    """
    process = await _start(program, output=asyncio.subprocess.PIPE)
    try:
        async with within(deadline_s):
            output, _ = await process.communicate()
    except (TimeoutError, asyncio.CancelledError):
        process.kill()
        await process.wait()
        raise
    return await process.wait(), output.decode(errors="replace")


async def _start(program: Program, *, output: int) -> asyncio.subprocess.Process:
    account = program.account
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    numbers = (os.getpid(), program.death_signal.value, uid, gid)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        _LAUNCHER,
        *(str(number) for number in numbers),
        *program.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(program.environment),
        cwd=program.folder,
        start_new_session=True,
    )
