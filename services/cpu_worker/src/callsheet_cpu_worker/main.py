"""Starts the CPU worker."""

import asyncio
import sys

from callsheet.catalog import Category
from callsheet.client import Client
from callsheet.service import logs
from callsheet.service.run import read_settings, read_tls, read_token, run
from callsheet.worker.main import work
from callsheet.worker.sandbox.rights import hide_memory
from callsheet_cpu_worker.settings import CpuWorkerSettings
from callsheet_cpu_worker.watcher import watching


def main() -> None:
    """Run the worker until it is told to stop."""
    hide_memory()
    settings = read_settings(CpuWorkerSettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: _work(settings, stop)))


async def _work(settings: CpuWorkerSettings, stop: asyncio.Event) -> int:
    token, tls = read_token(settings), read_tls(settings)
    async with Client(settings.scheduler, token=token, tls=tls) as client, watching(settings, client):
        return await work(settings, stop, kind="cpu", categories=(Category.CPU,))


if __name__ == "__main__":
    main()
