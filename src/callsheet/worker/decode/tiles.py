"""Takes the small pictures for scrubbing out of a video, all on one sheet."""

import io
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Final

from av.video.frame import VideoFrame
from PIL import Image

from callsheet.media import sprites
from callsheet.media.faults import MediaFaultError
from callsheet.worker.decode import moving
from callsheet.worker.decode.container import Opened
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import SheetArguments, SheetMade
from callsheet.worker.sandbox.work import Answer

_FRAMES_IN_ALL: Final = 1_000
"""Frames that are decoded between keyframes, for videos with few of them."""


def draw_sheet(arguments: SheetArguments, descriptors: Sequence[int]) -> Answer[SheetMade]:
    """Make the sheet of the video behind the first descriptor."""
    source = Source(descriptors[0])
    identity = source.identity()
    try:
        with opened_to_play(
            source, arguments.limits, otherwise="only a video has pictures for scrubbing"
        ) as media:
            sheet, picture = _drawn(media, arguments)
    except MediaFaultError as error:
        return Answer(value=SheetMade(identity=identity, fault=error.fault))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=arguments.quality)
    return Answer(value=SheetMade(identity=identity, sheet=sheet), blobs=(content.getvalue(),))


def _drawn(media: Opened, arguments: SheetArguments) -> tuple[sprites.Sheet, Image.Image]:
    first = moving.chosen_frame(media, 0.0, arguments.limits)
    width, height = moving.displayed_size(first, media)
    sheet = sprites.sheet_of(media.duration_s or 0.0, width, height)
    picture = Image.new("RGB", sheet.size)
    size = (sheet.tile_width, sheet.tile_height)
    shown = moving.picture(first, size)
    keyframe: int | None = None
    between: list[tuple[int, float]] = []
    for tile, instant_s in enumerate(sheet.instants):
        found = moving.keyframe_near(media, instant_s)
        if found is not None and found.pts != keyframe:
            keyframe, shown = found.pts, moving.picture(found, size)
        else:
            between.append((tile, instant_s))
        picture.paste(shown, sheet.corner(tile))
    for tile, frame in _between_keyframes(media, between):
        picture.paste(moving.picture(frame, size), sheet.corner(tile))
    return sheet, picture


def _between_keyframes(
    media: Opened, wanted: Sequence[tuple[int, float]]
) -> Generator[tuple[int, VideoFrame]]:
    """Yield the frames for tiles whose keyframe stands for an earlier tile, as far as that is cheap."""
    left = _FRAMES_IN_ALL
    place = 0
    while place < len(wanted) and left > 0:
        end = place + 1
        while end < len(wanted) and wanted[end][0] == wanted[end - 1][0] + 1:
            end += 1
        with suppress(MediaFaultError):
            for frame, instant in moving.frames_at(media, [one[1] for one in wanted[place:end]], left):
                if instant is None:
                    left -= 1
                else:
                    yield wanted[place + instant][0], frame
        place = end
