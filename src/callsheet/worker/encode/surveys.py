"""Has a decode child survey an item's file for an encoder, and knows it again."""

import os
from typing import Final

from callsheet.errors import BadInputError
from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.media.survey import Survey
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.decode.works import SURVEY, SurveyArguments
from callsheet.worker.encode.outputs import DEADLINE_S
from callsheet.worker.sources import check_content
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread

KEYFRAMES_MAX: Final = 5000
"""Keyframes of a survey of all of them; of a long video those that are some way apart."""


async def surveyed(context: JobContext, item: Item, file: OpenedFile, *, keyframes: bool = False) -> Survey:
    """Return what an encoder has to know of a video, in the usual chunks or from keyframe to keyframe.

    Raises:
        BrokenMediaError: It cannot be read; the item is marked so.
        BadInputError: It has another content than when it was scanned, or no moving pictures.
    """
    arguments = SurveyArguments(chunk_s=context.limits.chunk_s)
    if keyframes:
        arguments = SurveyArguments(chunk_s=0.0, chunks_max=KEYFRAMES_MAX)
    answer = await context.children.run(SURVEY, arguments, descriptors=[file.fd], deadline_s=DEADLINE_S)
    path, found = item.facts.path, answer.value
    check_content(item, found.identity, found.fault)
    if found.survey is None or found.survey.video is None:
        raise BadInputError(f"{path}: holds no moving pictures")
    return found.survey


async def check_unchanged(item: Item, file: OpenedFile) -> None:
    """Refuse a file that is not the one that was scanned, where it is not surveyed again.

    Raises:
        BadInputError: It has another content than when it was scanned.
    """
    check_content(item, await in_thread(lambda: _identity(file)), None)


def _identity(file: OpenedFile) -> str:
    size = os.fstat(file.fd).st_size
    tail_at = max(0, size - END_BYTES)
    return quick_identity(size, os.pread(file.fd, END_BYTES, 0), os.pread(file.fd, END_BYTES, tail_at))
