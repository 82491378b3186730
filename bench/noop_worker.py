"""A real worker process whose jobs do nothing, for measuring the queue."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TextIO

from typing_extensions import override

from callsheet.catalog import Category, JobType
from callsheet.params import NoParams
from callsheet.service import logs
from callsheet.service.clock import SystemClock
from callsheet.service.run import run
from callsheet.worker.context import JobContext
from callsheet.worker.main import work
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.settings import WorkerSettings

NOOP = JobType(name="noop", description="Does nothing.", params=NoParams, category=Category.CPU)
DONE = Outcome()


class Noop(Processor[NoParams]):
    """Does nothing, and may note when it began."""

    job_type = NOOP

    def __init__(self, starts: TextIO | None = None) -> None:
        self._starts = starts
        self._clock = SystemClock()

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        if self._starts is not None:
            self._starts.write(f"{context.lease.job_id} {self._clock.monotonic()!r}\n")
            self._starts.flush()
        return DONE


def main() -> None:
    """Run the worker until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheduler", required=True)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--starts", type=Path)
    options = parser.parse_args()
    logs.configure("warning")
    settings = WorkerSettings(
        scheduler=options.scheduler,
        slots=options.slots,
        spool=options.spool,
        children=0,
        host="bench",
    )
    starts = options.starts.open("w", encoding="ascii") if options.starts else None

    async def main_loop(stop: asyncio.Event) -> int:
        processors = {NOOP.name: Noop(starts)}
        return await work(settings, stop, kind="noop", categories=(Category.CPU,), processors=processors)

    sys.exit(run(main_loop))


if __name__ == "__main__":
    main()
