"""Keeps child processes running, and ends them in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from callsheet_scheduler.local.spawn import Program, start_program

#: Seconds before a process that ended by itself is started again; doubles up to the second number.
RESTART_S: Final = (0.5, 30.0)

#: A process that ran so long has earned the short pause again.
STEADY_S: Final = 60.0


@dataclass(slots=True, kw_only=True, eq=False)
class Child:
    """One service process."""

    name: str
    module: str
    environment: Mapping[str, str]
    stop_limit_s: float
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = field(default=None)


class Supervisor:
    """Starts children, starts those again that end by themselves, and stops all."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._children: list[Child] = []
        self._stopping = False
        self.failed = asyncio.Event()
        """Set when a child ended during its first start."""
        self.reason = ""

    async def start(self, child: Child) -> None:
        """Start *child* and keep it running."""
        self._children.append(child)
        await self._spawn(child)
        child.keeper = asyncio.create_task(self._keep(child))

    async def stop(self, hurry: asyncio.Event) -> None:
        """End the children in the reverse order of their start; at once when *hurry* is set."""
        self._stopping = True
        for child in reversed(self._children):
            await self._end(child, hurry)

    def last_words(self, child_name: str) -> str:
        """Return the last line that a child wrote."""
        try:
            lines = (self._logs / f"{child_name}.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:500] if lines else ""

    async def _spawn(self, child: Child) -> None:
        program = Program(
            arguments=(sys.executable, "-m", child.module),
            environment={**_inherited(), **child.environment},
            death_signal=signal.SIGTERM,
            folder=str(self._logs),
        )
        child.process = await start_program(program, log=self._logs / f"{child.name}.log")

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        pause_s = RESTART_S[0]
        first = True
        while child.process is not None:
            begun = loop.time()
            code = await child.process.wait()
            if self._stopping:
                return
            ran_s = loop.time() - begun
            words = self.last_words(child.name)
            if first and code == 2 and ran_s < STEADY_S:  # noqa: PLR2004 -- settings that cannot work
                self.reason = words or f"{child.name} ended with status {code}"
                self.failed.set()
                return
            first = False
            pause_s = RESTART_S[0] if ran_s > STEADY_S else pause_s
            self._say(f"The {child.name} ended (status {code}) and is started again; see {child.name}.log.")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_S[1])
            if not self._stopping:
                await self._spawn(child)

    async def _end(self, child: Child, hurry: asyncio.Event) -> None:
        process = child.process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            hurried = asyncio.create_task(hurry.wait())
            ended = asyncio.create_task(process.wait())
            await asyncio.wait(
                {hurried, ended},
                timeout=child.stop_limit_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurried.cancel()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await ended
        if child.keeper is not None:
            child.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await child.keeper


def _inherited() -> dict[str, str]:
    """Return this process's environment without settings of Callsheet, which are given one by one."""
    kept = ("CALLSHEET_FFMPEG", "CALLSHEET_LOG_LEVEL")
    return {
        key: value for key, value in os.environ.items() if key in kept or not key.startswith("CALLSHEET_")
    }
