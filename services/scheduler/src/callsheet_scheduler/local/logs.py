"""Keeps the logs of a Callsheet on one machine from growing without end."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

LOG_MAX_BYTES: Final = 16 * 1024**2
"""A log that grew beyond this is put aside as ``.1``, in place of the one before."""
LOG_LOOK_S: Final = 30.0


async def keep_logs_small(folder: Path) -> None:
    """Put large logs aside, for ever."""
    while True:
        for log in folder.glob("*.log"):  # noqa: ASYNC240 -- a look at a few names
            with suppress(OSError):
                rotate(log, LOG_MAX_BYTES)
        await asyncio.sleep(LOG_LOOK_S)


def rotate(log: Path, most_bytes: int) -> None:
    """Put *log* aside if it is larger than *most_bytes*; whoever has it open to append writes on in it."""
    if log.stat().st_size <= most_bytes:
        return
    with log.open("r+b") as file:
        with log.with_name(f"{log.name}.1").open("wb") as aside:
            while piece := file.read(1024 * 1024):
                aside.write(piece)
        file.truncate(0)
