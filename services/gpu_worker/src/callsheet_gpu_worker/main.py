"""Starts the GPU worker."""

import sys

from callsheet.catalog import Category
from callsheet.service import logs
from callsheet.service.run import read_settings, run
from callsheet.worker.main import work
from callsheet_gpu_worker.settings import GpuWorkerSettings


def main() -> None:
    """Run the worker until it is told to stop."""
    settings = read_settings(GpuWorkerSettings)
    logs.configure(settings.log_level)
    sys.exit(
        run(
            lambda stop: work(
                settings,
                stop,
                kind="gpu",
                categories=(Category.GPU_ENCODE, Category.GPU_AI),
                software_gpu=settings.software_gpu,
            ),
        ),
    )


if __name__ == "__main__":
    main()
