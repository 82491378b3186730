"""Shows as a job's progress what a child says of how far it is."""

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from callsheet.worker.context import Reporter

_PART_BYTES: Final = 4096
_NEARLY_DONE: Final = 99
"""What a child may say at most: it is not done before its answer is."""


@contextmanager
def metered(report: Reporter, part: tuple[float, float] = (0.0, 100.0)) -> Generator[int]:
    """Give a descriptor for a child's `callsheet.worker.decode.meter`, and report what comes of it.

    The child's work is the *part* of the whole between these percents.
    """
    begin, end = part
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def read() -> None:
        with suppress(BlockingIOError):
            said = os.read(reading, _PART_BYTES)
            if said:
                report.progress(min(_NEARLY_DONE, int(begin + max(said) * (end - begin) / 100)))

    loop.add_reader(reading, read)
    try:
        yield writing
    finally:
        loop.remove_reader(reading)
        os.close(reading)
        os.close(writing)
