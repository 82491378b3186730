"""Has decode children measure an item's file second by second, in windows between which a job can stop."""

import math
from typing import Final

from callsheet.media.series import Figures, Series, series_of, table_of
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import MEASURE, MeasureArguments
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.metering import metered
from callsheet.worker.sources import check_content
from callsheet.worker.storage.library import OpenedFile

WINDOW_S: Final = 600
"""Seconds of a file that one child measures."""
DEADLINE_S: Final = 1800.0
"""How long a window may take."""


async def measured(
    context: JobContext,
    item: Item,
    file: OpenedFile,
    *,
    until_percent: float = 99.0,
    kept: Chunks | None = None,
) -> Series:
    """Return what a video or recording is like, second by second.

    Args:
        context: The attempt's.
        item: Of the library; its duration says how many windows there are.
        file: The item's, open.
        until_percent: The progress that the end of it stands for.
        kept: Keeps the windows for later attempts, of a resumable job that may stop between them.

    Raises:
        BrokenMediaError: It cannot be read; the item is marked so.
        BadInputError: It has another content than when it was scanned.
        TransientError: It took too long.
    """
    windows = max(1, math.ceil(item.facts.duration_s / WINDOW_S))
    found = 0 if kept is None else await kept.find()
    if found:
        context.report.log(f"{found} of {windows} parts were measured before.")
    tables: list[Figures] = []
    for number in range(windows):
        if kept is not None and kept.has(number):
            content = await kept.read(number)
        else:
            part = (until_percent * number / windows, until_percent * (number + 1) / windows)
            content = await _window(context, item, file, (number, windows), part)
            if kept is not None:
                await kept.write(number, content)
        tables.append(table_of(content))
        if kept is not None:
            context.save({"measured": number + 1, "of": windows})
    return series_of(tables)


async def _window(
    context: JobContext, item: Item, file: OpenedFile, place: tuple[int, int], part: tuple[float, float]
) -> bytes:
    number, windows = place
    arguments = MeasureArguments(
        begin_s=number * WINDOW_S, end_s=None if number + 1 == windows else (number + 1) * WINDOW_S
    )
    with metered(context.report, part) as meter:
        answer = await context.children.run(
            MEASURE,
            arguments,
            descriptors=[file.fd, meter],
            deadline_s=DEADLINE_S,
            cpu_s=int(DEADLINE_S),
        )
    check_content(item, answer.value.identity, answer.value.fault)
    if number == 0:
        way = "its keyframes and what follows them" if answer.value.sparse else "it"
        context.report.log(f"Looking at {way}, {windows} part{'s' if windows > 1 else ''} of {WINDOW_S} s.")
    return answer.blobs[0]
