"""``callsheet up`` as a process: what it says, what runs below it, how it ends."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsheet_scheduler.local.data_folder import reserve_port
from callsheet_scheduler.local.errors import StartError

from tests.support.patience import PATIENCE_S

CALLSHEET: Final = ("-c", "from callsheet.cli import main; main()")
READY: Final = "Callsheet is ready at "
OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What REST said."""

    status: int
    body: bytes

    def json(self) -> object:
        """Return the body read as JSON."""
        return json.loads(self.body)


def free_ports(count: int) -> int:
    """Return the first of *count* free ports in a row."""
    while True:
        with ExitStack() as stack:
            first: int = stack.enter_context(reserve_port(0)).getsockname()[1]
            with suppress(StartError):
                for port in range(first + 1, first + count):
                    stack.enter_context(reserve_port(port))
                return first


class RunningUp:
    """One start of the command."""

    def __init__(self, process: Process, data: Path) -> None:
        self.process = process
        self.data = data
        self.said: list[str] = []
        """Lines of both outputs, as they came."""
        self._more = asyncio.Condition()
        self._readers = [
            asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr) if stream
        ]

    async def line(self, part: str) -> str:
        """Wait for a line that contains *part* and return it."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._more:
                while True:
                    for line in self.said:
                        if part in line:
                            return line
                    assert not self._ended(), f"it ended without {part!r}: {self.said}"
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"no line with {part!r} in {self.said}; logs: {self.logs()}") from None

    async def ready(self) -> str:
        """Wait until it is ready and return the address of REST."""
        return (await self.line(READY)).removeprefix(READY)

    async def exit_code(self) -> int:
        """Wait until it has ended and everything it said is read."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._readers)
            return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(number)
        return await self.exit_code()

    async def get(self, path: str, *, token: str | None = None) -> Answer:
        """Send a GET to REST."""
        port = int((await self.ready()).rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{authorization}\r\n"
        writer.write(head.encode("ascii"))
        answer = await reader.read()
        writer.close()
        status, _, body = answer.partition(b"\r\n\r\n")
        return Answer(status=int(status.split()[1]), body=body)

    async def answers(self) -> None:
        """Wait until REST finds a scheduler that leads."""
        async with asyncio.timeout(PATIENCE_S):
            while (  # noqa: ASYNC110 -- another process sets no event of ours
                await self.get("/api/media/jobs/stats", token=self.token())
            ).status != OK:
                await asyncio.sleep(0.05)

    async def command(self, *arguments: str) -> str:
        """Run another command of ``callsheet`` with its data folder and return what it printed."""
        command = await asyncio.create_subprocess_exec(
            sys.executable, *CALLSHEET, *arguments, "--data", str(self.data), stdout=PIPE
        )
        printed, _ = await command.communicate()
        assert command.returncode == 0, f"{arguments}: exit {command.returncode}"
        return printed.decode()

    def token(self) -> str:
        """Return the administrator's token."""
        return (self.data / "admin-token").read_text(encoding="ascii").strip()

    def below(self) -> dict[int, str]:
        """Return the processes below it: process id and command line."""
        return _descendants(self.process.pid)

    def pid_of(self, part: str) -> int:
        """Return the id of its own child whose command line contains *part*."""
        found = [pid for pid, command in _children(self.process.pid).items() if part in command]
        assert len(found) == 1, f"{part!r}: {self.below()}"
        return found[0]

    def logs(self) -> str:
        """Return the end of every log."""
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1500:]}"
            for path in sorted(self.data.glob("logs/*.log"))
        )

    def _ended(self) -> bool:
        return all(reader.done() for reader in self._readers)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        try:
            async for line in stream:
                async with self._more:
                    self.said.append(line.decode().rstrip())
                    self._more.notify_all()
        finally:
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._wake()))

    async def _wake(self) -> None:
        async with self._more:
            self._more.notify_all()


@asynccontextmanager
async def running_up(
    data: Path,
    *arguments: str,
    python: Sequence[str] = (sys.executable,),
    environment: dict[str, str] | None = None,
) -> AsyncGenerator[RunningUp]:
    """Run ``callsheet up`` with *data* on a free port; at the end nothing of it is left."""
    process = await asyncio.create_subprocess_exec(
        *python,
        *CALLSHEET,
        "up",
        "--data",
        str(data),
        *(() if "--port" in arguments else ("--port", "0")),
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, **(environment or {})},
    )
    up = RunningUp(process, data)
    try:
        yield up
    finally:
        below = up.below()
        with suppress(ProcessLookupError):
            process.kill()
        await up.exit_code()
        await gone(below)


async def gone(processes: Mapping[int, str]) -> None:
    """Wait until none of the processes runs any more; a vain wait fails."""

    def left() -> list[str]:
        return [command for pid, command in processes.items() if _command(pid) == command]

    try:
        async with asyncio.timeout(PATIENCE_S):
            while left():  # noqa: ASYNC110 -- not our children
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"still there: {left()}") from None


def _descendants(root: int) -> dict[int, str]:
    found: dict[int, str] = {}
    wave = [root]
    while wave:
        children = {pid: command for parent in wave for pid, command in _children(parent).items()}
        found |= children
        wave = list(children)
    return found


def _children(parent: int) -> dict[int, str]:
    pids = [int(entry.name) for entry in Path("/proc").glob("[1-9]*") if _parent(entry) == parent]
    return {pid: command for pid in pids if (command := _command(pid))}


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> str:
    """Return the command line; empty when the process has ended, collected or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
