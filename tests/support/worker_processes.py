"""Workers as processes, which can be killed, stopped and started again, with the tests' processors."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.patience import PATIENCE_S
from tests.support.plug_ins import ROOT, installed
from tests.support.warm import WarmProcess, start_warm

REPOSITORY = Path(__file__).parents[2]


class WorkerProcess:
    """``callsheet_cpu_worker.main``, or of another kind, as a process; spool and root lie in *folder*."""

    def __init__(
        self,
        scheduler: str,
        folder: Path,
        name: str,
        settings: dict[str, str],
        *,
        kind: str = "cpu",
        module: str = "",
        python: str = sys.executable,
    ) -> None:
        self._python = python
        self._module = module or f"callsheet_{kind}_worker.main"
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
        self.process: Process | WarmProcess | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self, *, stderr: int | None = None) -> None:
        """Start it, with the identity that its spool keeps; its log goes to the descriptor *stderr*."""
        if self._python == sys.executable:
            self.process = await start_warm(self._module, environment=self._environment, stderr=stderr)
            return
        self.process = await asyncio.create_subprocess_exec(
            self._python, "-m", self._module, env=self._environment, stderr=stderr
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
        async with asyncio.timeout(PATIENCE_S):
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
    return {one for one in descendants_of(pid) if _encodes(one)}


def environment_of(pid: int) -> list[str]:
    """Return the environment that a process was started with."""
    return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").rstrip("\0").split("\0")


def descendants_of(pid: int) -> set[int]:
    """Return the processes below a process, at any depth."""
    found: set[int] = set()
    with suppress(OSError):  # it ended while it was looked at
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):
            found |= _children_of(thread)
    return found.union(*(descendants_of(child) for child in found))


def _children_of(thread: Path) -> set[int]:
    try:
        return {int(word) for word in (thread / "children").read_text(encoding="ascii").split()}
    except OSError:
        return set()


def _encodes(pid: int) -> bool:
    """Whether it is a run of FFmpeg for an attempt, and none that only asks for its version."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"ffmpeg" in words[0].rpartition(b"/")[2] and b"-progress" in words
