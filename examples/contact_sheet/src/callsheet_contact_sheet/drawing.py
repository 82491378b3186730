"""Draws the sheet: the only part that opens the video, and so the part that runs in a sandboxed child."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from callsheet.media.facts import MediaLimits
from callsheet.media.faults import Fault, MediaFaultError
from callsheet.worker.decode import moving
from callsheet.worker.decode.container import Opened
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.sandbox.work import Answer, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawArguments:
    """Takes one descriptor: the file of a video. Answers with a JPEG."""

    columns: int
    rows: int
    width: int
    """Of the whole sheet, in pixels."""
    limits: MediaLimits = field(default_factory=MediaLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What became of it. The sheet is the answer's blob; there is none with a fault."""

    identity: str
    """The quick identity of the bytes that were decoded."""
    width: int = 0
    height: int = 0
    fault: Fault | None = None


def draw(arguments: DrawArguments, descriptors: Sequence[int]) -> Answer[Drawn]:
    """Draw the sheet of the video behind the first descriptor."""
    source = Source(descriptors[0])
    identity = source.identity()
    try:
        with opened_to_play(source, arguments.limits, otherwise="only a video has stills") as media:
            sheet = _sheet(media, arguments)
    except MediaFaultError as error:
        return Answer(value=Drawn(identity=identity, fault=error.fault))
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=85)
    drawn = Drawn(identity=identity, width=sheet.width, height=sheet.height)
    return Answer(value=drawn, blobs=(content.getvalue(),))


def _sheet(media: Opened, arguments: DrawArguments) -> Image.Image:
    """Paste the keyframes that stand before evenly spaced instants."""
    first = moving.chosen_frame(media, 0.0, arguments.limits)
    shown_width, shown_height = moving.displayed_size(first, media)
    width = arguments.width // arguments.columns
    height = max(1, round(width * shown_height / shown_width))
    sheet = Image.new("RGB", (width * arguments.columns, height * arguments.rows))
    shown = moving.picture(first, (width, height))
    count = arguments.columns * arguments.rows
    for place in range(count):
        found = moving.keyframe_near(media, (media.duration_s or 0.0) * place / count)
        shown = moving.picture(found, (width, height)) if found is not None else shown
        sheet.paste(shown, (place % arguments.columns * width, place // arguments.columns * height))
    return sheet


DRAW: Work[DrawArguments, Drawn] = Work("callsheet_contact_sheet.drawing:draw", DrawArguments, Drawn)
"""What the processor has a child do."""
