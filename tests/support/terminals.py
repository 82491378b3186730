"""Runs ``callsheet`` on a terminal of its own, presses keys, and reads the picture that it shows."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from tests.support.command_line import CommandLine
from tests.support.patience import PATIENCE_S

#: The first terminal that the leader of a session opens is the one whose changes of size it hears of.
ON_ITS_TERMINAL = (
    "import os, runpy; os.close(os.open(os.ttyname(0), os.O_RDWR));"
    "runpy.run_module('callsheet.cli.app', run_name='__main__', alter_sys=True)"
)
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Terminal:
    """A terminal and the command that runs on it."""

    def __init__(self, main: int, process: Process) -> None:
        self.process = process
        self._main = main
        self._text = ""
        self._fresh = asyncio.Event()
        asyncio.get_running_loop().add_reader(main, self._read)

    def _read(self) -> None:
        try:
            got = os.read(self._main, 65_536)
        except OSError:  # the command has closed its end
            got = b""
        if not got:
            asyncio.get_running_loop().remove_reader(self._main)
        self._text = (self._text + got.decode("utf-8", "replace"))[-200_000:]
        self._fresh.set()

    @property
    def raw(self) -> str:
        """What was written, with all that steers the terminal."""
        return self._text

    @property
    def picture(self) -> list[str]:
        """The lines of the last whole picture, whose last line says how to quit."""
        whole = [one for one in self._text.split("\x1b[H") if "quit" in one]
        return [line.rstrip() for line in STEERING.sub("", whole[-1]).split("\n")] if whole else []

    async def until(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Wait until the picture is such, and return it."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self.picture):
                self._fresh.clear()
                await self._fresh.wait()
        return self.picture

    async def shows(self, words: str) -> list[str]:
        """Wait until a line of the picture has *words*, and return the picture."""
        return await self.until(lambda lines: any(words in line for line in lines))

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._main, keys.encode())

    def resize(self, lines: int, columns: int) -> None:
        """Give the terminal another size."""
        resize(self._main, lines, columns)

    async def ended(self) -> int:
        """Wait for the end of the command and return its code."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    async def close(self) -> None:
        """End the command and the terminal."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._main)
        os.close(self._main)


def resize(descriptor: int, lines: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@asynccontextmanager
async def terminal(
    callsheet: CommandLine, *arguments: str, lines: int = 40, columns: int = 120, **variables: str
) -> AsyncGenerator[Terminal]:
    """Run *callsheet* on a terminal of this size; *variables* are its environment's."""
    main, other = pty.openpty()
    resize(main, lines, columns)
    environment = {
        name: text for name, text in callsheet.environment.items() if name not in {"COLUMNS", "LINES"}
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ON_ITS_TERMINAL,
        *arguments,
        cwd=callsheet.folder,
        env=environment | {"TERM": "xterm-256color"} | variables,
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    shown = Terminal(main, process)
    try:
        yield shown
    finally:
        await shown.close()
