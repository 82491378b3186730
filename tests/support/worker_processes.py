"""CPU workers as processes, which can be killed, stopped and started again, with the tests' processors."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.plug_ins import ROOT, installed

REPOSITORY = Path(__file__).parents[2]


class WorkerProcess:
    """``callsheet_cpu_worker.main`` as a process; its spool and its one root lie in *folder*."""

    def __init__(self, scheduler: str, folder: Path, name: str, settings: dict[str, str]) -> None:
        self.made = folder / ROOT
        self.made.mkdir(exist_ok=True)
        self.spool = folder / f"spool-{name}"
        site = installed(folder / "site")
        self._environment = (
            os.environ
            | {
                "CALLSHEET_SCHEDULER": scheduler,
                "CALLSHEET_ROOTS": json.dumps({ROOT: {"path": str(self.made), "writable": True}}),
                "CALLSHEET_SPOOL": str(self.spool),
                "CALLSHEET_HOST": name,
                "CALLSHEET_SLOTS": "3",
                "CALLSHEET_CHILDREN": "1",
                "CALLSHEET_LOG_LEVEL": "warning",
                "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(site)]),
            }
            | settings
        )
        self.process: Process | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start it, with the identity that its spool keeps."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "callsheet_cpu_worker.main", env=self._environment
        )

    async def kill(self) -> None:
        """End it without a chance to clean up."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def left(self) -> int:
        """Tell it to end, wait until it has, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        async with asyncio.timeout(30):
            return await self.process.wait()

    def encoders(self) -> set[int]:
        """Return the processes that encode for it."""
        return encoders_of(self.pid)

    def spooled(self) -> list[str]:
        """Return the names of the results that it keeps."""
        return sorted(path.name for path in self.spool.glob("*.result"))

    def files(self) -> list[str]:
        """Return what lies in the root, hidden files too."""
        return sorted(str(path.relative_to(self.made)) for path in self.made.rglob("*") if path.is_file())


@asynccontextmanager
async def worker_process(
    scheduler: str, folder: Path, name: str = "atlas", **settings: str
) -> AsyncGenerator[WorkerProcess]:
    """Run a worker; *settings* are environment variables without their prefix, in any case."""
    variables = {f"CALLSHEET_{key.upper()}": value for key, value in settings.items()}
    worker = WorkerProcess(scheduler, folder, name, variables)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.kill()


def encoders_of(pid: int) -> set[int]:
    """Return the descendants of a process that run FFmpeg."""
    return {one for one in _descendants(pid) if b"ffmpeg" in _program(one)}


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            own = {int(word) for word in children.read_text(encoding="ascii").split()}
        except OSError:
            continue
        found |= own.union(*(_descendants(child) for child in own))
    return found


def _program(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].rpartition(b"/")[2]
    except OSError:
        return b""
