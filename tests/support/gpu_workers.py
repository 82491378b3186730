"""GPU workers as processes, on cards that tests make up."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.cards import VARIABLE, Driver, compiled
from tests.support.patience import PATIENCE_S
from tests.support.worker_processes import WorkerProcess


class GpuHost:
    """A machine with cards: the library that stands for NVIDIA's, and a driver to be told what to say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = compiled(folder / "nvml")
        self.driver = Driver(folder / "cards")
        self.driver.set()

    @property
    def log(self) -> str:
        """What workers have written on stderr."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @asynccontextmanager
    async def worker(
        self, scheduler: str, name: str = "atlas", **settings: str
    ) -> AsyncGenerator[WorkerProcess]:
        """Run a worker; *settings* are environment variables without their prefix, in any case."""
        variables = {f"CALLSHEET_{key.upper()}": value for key, value in settings.items()}
        variables |= {
            "LD_LIBRARY_PATH": str(self.library.parent),
            VARIABLE: str(self.driver.path),
            "CALLSHEET_CHILDREN": "0",
            "CALLSHEET_STOP_ASK_GRACE_S": "0",
        }
        sees_pids = {"CALLSHEET_GPU_SEES_PIDS": "true"}
        worker = WorkerProcess(scheduler, self.folder, name, sees_pids | variables, kind="gpu")
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            await worker.start(stderr=log)
            yield worker
        finally:
            os.close(log)
            await worker.kill()

    async def says(self, words: str) -> None:
        """Wait until a worker's log has these words."""
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.log:  # noqa: ASYNC110 - what is awaited happens in another process
                await asyncio.sleep(0.05)
