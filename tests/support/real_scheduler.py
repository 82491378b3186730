"""A real scheduler process on a database of its own, that can be killed and started again."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.patience import PATIENCE_S
from tests.support.warm import WarmProcess, start_warm


class RealScheduler:
    """``callsheet_scheduler.main`` as a process."""

    def __init__(self, dsn: str, folder: Path, settings: dict[str, str]) -> None:
        self._dsn = dsn
        self._folder = folder
        self._settings = settings
        self._process: WarmProcess | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """host:port of its gRPC."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, on the port of the time before, and wait until it listens."""
        port_file = self._folder / "scheduler-port"
        port_file.unlink(missing_ok=True)
        environment = os.environ | {
            "CALLSHEET_DATABASE_URL": self._dsn,
            "CALLSHEET_LISTEN": f"127.0.0.1:{self.port}",
            "CALLSHEET_PORT_FILE": str(port_file),
            "CALLSHEET_LOG_LEVEL": "warning",
        }
        self._process = await start_warm("callsheet_scheduler.main", environment=environment | self._settings)
        async with asyncio.timeout(PATIENCE_S):
            while not port_file.exists():
                assert self._process.returncode is None, "the scheduler ended while it started"
                await asyncio.sleep(0.02)
        self.port = int(port_file.read_text(encoding="ascii"))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def terminate(self) -> int:
        """Ask it to end, and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()

    async def kill(self) -> None:
        """End it without a chance to clean up."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def real_scheduler(dsn: str, folder: Path, **settings: str) -> AsyncGenerator[RealScheduler]:
    """Run a scheduler; *settings* are environment variables without their prefix, in any case."""
    variables = {f"CALLSHEET_{name.upper()}": value for name, value in settings.items()}
    scheduler = RealScheduler(dsn, folder, variables)
    await scheduler.start()
    try:
        yield scheduler
    finally:
        await scheduler.kill()
