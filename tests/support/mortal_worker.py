"""A CPU worker whose move of a file is killed behind the step that a file names, once."""

import os
import signal
import sys
from pathlib import Path
from typing import Final

from callsheet_cpu_worker.processors.move_to_library import MoveToLibrary
from callsheet_cpu_worker.settings import CpuWorkerSettings

from callsheet.catalog import Category
from callsheet.service import logs
from callsheet.service.run import read_settings, run
from callsheet.worker.main import work
from callsheet.worker.registry import AnyProcessor, installed_processors

VARIABLE: Final = "DIES_AT"
"""The path of the file."""


def die(step: str) -> None:
    """Kill this process where the file names *step*; it is gone then, so that the next life goes on."""
    order = Path(os.environ[VARIABLE])
    if order.exists() and order.read_text(encoding="ascii") == step:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    settings = read_settings(CpuWorkerSettings)
    logs.configure(settings.log_level)
    categories = (Category.CPU,)
    processors: dict[str, AnyProcessor] = dict(installed_processors(categories))
    processors["move_to_library"] = MoveToLibrary(die)
    sys.exit(run(lambda stop: work(settings, stop, kind="cpu", categories=categories, processors=processors)))


if __name__ == "__main__":
    main()
