"""Makes an animated GIF or WebP of a part of a video."""

import os
from typing import Final

from typing_extensions import override

from callsheet.catalog import COMPILE_GIF
from callsheet.errors import BadInputError
from callsheet.media.animation import (
    MEDIA_TYPES,
    AnimationWish,
    animation_filters,
    animation_options,
    animation_size,
)
from callsheet.media.survey import Survey, VideoTrack
from callsheet.reel_params import CompileGifParams
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.commands import Command, Input, command, media_input
from callsheet.worker.encode.outputs import ExpectedPicture, Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.ffmpeg import ffmpeg_path, ffmpeg_version
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import one_video, opened
from callsheet.worker.storage.library import OpenedFile

KIND: Final = "animation"
FOLDER: Final = "compilations"
_BYTES_PER_PIXEL: Final = 1
"""Of each frame; a GIF takes no more."""


class CompileGif(Processor[CompileGifParams]):
    """Publishes a picture that becomes an item of the library, and points to it from its source."""

    job_type = COMPILE_GIF

    @override
    async def process(self, params: CompileGifParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BrokenMediaError: The video cannot be read; the item is marked with the reason.
            BadInputError: There is no such video, or it does not last until *timestamp*.
            CapacityError: No room on the disk.
        """
        item = await one_video(context, params.video_id, params.root, params.input_path)
        wish = AnimationWish(
            start_s=params.timestamp,
            duration_s=params.duration,
            width=params.width,
            fps=params.fps,
            format=params.format,
        )
        place = Place(
            root=params.output_root,
            folder=FOLDER,
            recipe=wish.recipe,
            item_id=item.id,
            suffix=f".{wish.format}",
            wanted=params.output_path,
        )
        outputs.check_wanted(place)
        known = await outputs.cached(context, item, kind=KIND, place=place)
        if known is not None:
            return Outcome(result={"outputPath": known.facts.path, "root": known.facts.root, "cached": True})
        with await opened(context, item) as source:
            made = await _made(context, item, wish, place, source)
        media_type = MEDIA_TYPES[wish.format]
        row = outputs.derivative_of(item, made.row, kind=KIND, recipe=place.recipe, media_type=media_type)
        context.report.progress(100)
        return Outcome(result=outputs.result_of(made), items=[made.row], derivatives=[row])


async def _made(
    context: JobContext, item: Item, wish: AnimationWish, place: Place, source: OpenedFile
) -> Made:
    survey = await surveyed(context, item, source)
    video = _pictures(survey, wish, item)
    width, height = animation_size(video, wish)
    length_s = min(wish.duration_s, survey.duration_s - wish.start_s)
    room = round(width * height * (length_s * wish.fps + 1) * _BYTES_PER_PIXEL)
    output = await outputs.begin(context, place, expected_bytes=room)
    try:
        one = animation_command(video, wish, source.fd, output.fd)
        await encode(context, one, Meter(context=context, total_s=length_s))
        version = await ffmpeg_version(ffmpeg_path(os.environ))
        recorded = Recorded(encoder=wish.format, ffmpeg=version, argv=["ffmpeg", *one.arguments])
        expected = ExpectedPicture(width=width, height=height)
        return await outputs.publish(context, output, expected, recorded, recipe=place.recipe, sources=[item])
    except BaseException:
        await output.discard()
        raise


def animation_command(video: VideoTrack, wish: AnimationWish, source: int, output: int) -> Command:
    """Return the command that makes the animation."""
    part: dict[str, str | float] = {"ss": f"{wish.start_s:.3f}", "t": f"{wish.duration_s:.3f}"}
    stream = media_input(Input(fd=source, options=part))[str(video.index)]
    options = {"vf": ",".join(animation_filters(video, wish)), **animation_options(wish), "an": ""}
    return command([stream], options, output=output, inputs=[source])


def _pictures(survey: Survey, wish: AnimationWish, item: Item) -> VideoTrack:
    if survey.video is None or wish.start_s >= survey.duration_s:
        raise BadInputError(
            f"timestamp: there is nothing at {wish.start_s:g} s of {item.facts.path}, "
            f"which lasts {survey.duration_s:.1f} s"
        )
    return survey.video
