"""Keeps processes running: starts them again when they end, and ends them when asked."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from callsheet.service.clock import Clock
from callsheet_scheduler.local.errors import StartError
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.local.services import Service
from callsheet_scheduler.local.spawn import Program, start_program

BACKOFF_S: Final = (0.5, 30.0)
"""The pause before the first start again, doubled each time, and the longest."""
HEALTHY_AFTER_S: Final = 60.0
"""Who ran this long begins anew with the shortest pause."""
_TAIL_BYTES: Final = 8 * 1024

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Something that runs, ends, and starts again."""

    name: str
    ended: Callable[[], Awaitable[int]]
    """Waits for its end and returns the exit status, negative for a signal."""
    start: Callable[[], Awaitable[object]]


class Supervisor:
    """Runs processes; after *settle*, one that ends is started again. Before, its end is a failure."""

    def __init__(self, logs: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._clock = clock
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._services: dict[str, Service] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._settled = False
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self, service: Service) -> None:
        """Start a process and keep it running.

        Raises:
            OSError: It cannot be started.
        """

        async def ended() -> int:
            return await self._running[service.name].wait()

        self._services[service.name] = service
        await self._launch(service)
        self._keep(_Kept(name=service.name, ended=ended, start=lambda: self._launch(service)))

    def keep_database(self, postgres: EmbeddedPostgres) -> None:
        """Keep *postgres*, which runs, running."""
        self._keep(_Kept(name="database", ended=postgres.wait, start=postgres.start))

    def settle(self) -> None:
        """From now on a process that ends is started again."""
        self._settled = True

    async def unless_failed(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Await *work* while no process ends.

        Raises:
            StartError: One ended; the sentence says which and why.
        """
        working = asyncio.create_task(work)
        try:
            either: set[asyncio.Future[Any]] = {working, self._failure}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise StartError(self._failure.result())
            return working.result()
        finally:
            await cancelled(working)

    async def stop(self, *names: str, hurry: asyncio.Event) -> None:
        """End the named processes together: asked first, killed after their time or on *hurry*."""
        await asyncio.gather(*(self._stop(name, hurry) for name in names))

    async def release(self, name: str) -> None:
        """Keep *name* no longer."""
        keeping = self._keeping.pop(name, None)
        if keeping is not None:
            await cancelled(keeping)

    def log_of(self, name: str) -> Path:
        """Return the file with the process's output."""
        return self._logs / f"{name}.log"

    async def _launch(self, service: Service) -> None:
        program = Program(
            arguments=service.arguments, environment=service.environment, folder=str(self._logs)
        )
        self._running[service.name] = await start_program(program, log=self.log_of(service.name))

    def _keep(self, kept: _Kept) -> None:
        self._keeping[kept.name] = asyncio.create_task(self._keep_running(kept))

    async def _keep_running(self, kept: _Kept) -> None:
        pause_s = BACKOFF_S[0]
        while True:
            began = self._clock.monotonic()
            manner = _manner(await kept.ended())
            if not self._settled:
                self._fail(kept.name, manner)
                return
            if self._clock.monotonic() - began > HEALTHY_AFTER_S:
                pause_s = BACKOFF_S[0]
            self._say(
                f"The {kept.name} ended ({manner}) and starts again; its log is {self.log_of(kept.name)}."
            )
            pause_s = await self._start_again(kept, pause_s)

    async def _start_again(self, kept: _Kept, pause_s: float) -> float:
        """Start until it works, and return the pause for the next time."""
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, BACKOFF_S[1])
            try:
                await kept.start()
            except (OSError, StartError) as error:
                self._say(f"The {kept.name} does not start: {error}")
            else:
                return pause_s

    def _fail(self, name: str, manner: str) -> None:
        if not self._failure.done():
            log = self.log_of(name)
            self._failure.set_result(
                f"The {name} ended at its start ({manner}){last_words(log)}; its log is {log}."
            )

    async def _stop(self, name: str, hurry: asyncio.Event) -> None:
        await self.release(name)
        process = self._running.pop(name, None)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        ending = asyncio.create_task(process.wait())
        hurrying = asyncio.create_task(hurry.wait())
        limit_s = self._services[name].stop_limit_s
        await asyncio.wait({ending, hurrying}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        await cancelled(hurrying)
        if not ending.done():
            process.kill()
        await ending


async def cancelled(work: "asyncio.Task[ResultT]") -> None:
    """Cancel *work* and wait until it has ended, in whatever way."""
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled():
        work.exception()


def last_words(log: Path) -> str:
    """Return the last line of *log* as ``: …``, of a JSON object its message; nothing if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    line = next((text.strip() for text in reversed(lines) if text.strip()), "")
    with suppress(ValueError, KeyError, TypeError):
        line = str(json.loads(line)["message"])
    return f": {line.rstrip('.')}" if line else ""


def _manner(status: int) -> str:
    return f"exit {status}" if status >= 0 else signal.Signals(-status).name
