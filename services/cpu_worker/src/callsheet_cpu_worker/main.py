"""Starts the CPU worker."""

import sys

from callsheet.catalog import Category
from callsheet.service import logs
from callsheet.service.run import read_settings, run
from callsheet.worker.main import work
from callsheet.worker.sandbox import hide_memory
from callsheet_cpu_worker.settings import CpuWorkerSettings


def main() -> None:
    """Run the worker until it is told to stop."""
    hide_memory()
    settings = read_settings(CpuWorkerSettings)
    logs.configure(settings.log_level)
    sys.exit(run(lambda stop: work(settings, stop, kind="cpu", categories=(Category.CPU,))))


if __name__ == "__main__":
    main()
