"""The worker's end of its watchdog: starts it, and tells it again and again that the worker is alive."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from callsheet.within import within
from callsheet.worker.watchdog import END

_PROGRAM: Final = Path(__file__).with_name("watchdog.py")
END_LIMIT_S: Final = 5.0
"""How long the watchdog may take to end when it is not needed any more."""


class Guard:
    """A watchdog process. Used by ``async with``, around the pool of children."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._pipe = -1

    async def __aenter__(self) -> Self:
        theirs, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_PROGRAM), str(theirs), str(os.getpid()),
                stdin=DEVNULL, stdout=DEVNULL, pass_fds=(theirs,), start_new_session=True, cwd="/",
            )  # fmt: skip
        finally:
            os.close(theirs)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._pipe, END)
        os.close(self._pipe)
        if self._process is not None:
            with suppress(TimeoutError):
                async with within(END_LIMIT_S):
                    await self._process.wait()

    def beat(self, silence_limit_s: float) -> None:
        """Say that the worker is alive and will say so again within *silence_limit_s*."""
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._pipe, f"{silence_limit_s:g}\n".encode())
