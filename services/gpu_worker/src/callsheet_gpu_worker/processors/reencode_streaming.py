"""Makes a version of a video for streaming: in chunks where it is long, so that a pause loses little."""

import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from typing_extensions import override

from callsheet.catalog import REENCODE_STREAMING
from callsheet.errors import BadInputError, TransientError
from callsheet.media.encoders import SOFTWARE, Encoder
from callsheet.media.streaming import StreamingWish, conforms, expected_bytes
from callsheet.media.survey import Survey
from callsheet.params import ReencodeStreamingParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.commands import Command
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Expected, Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.library import OpenedFile
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import one_video, opened
from callsheet.worker.staging import StagedOutput
from callsheet_gpu_worker import streaming

KIND: Final = "playback"
"""The kind of derivative that a source gets."""
FOLDER: Final = "playback"
_COPY: Final = Encoder(name="copy", codec="copy")
_CUTTABLE: Final = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers in which a keyframe is found by its instant."""


class _UncutError(Exception):
    """A chunk has not the frames that the survey counted: the source cannot be cut exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One re-encode."""

    context: JobContext
    item: Item
    place: Place
    wish: StreamingWish
    survey: Survey
    source: OpenedFile
    ladder: Ladder


class ReencodeStreaming(Processor[ReencodeStreamingParams]):
    """Publishes an MP4 that becomes an item of the library, and points to it from its source."""

    job_type = REENCODE_STREAMING

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: ReencodeStreamingParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BrokenMediaError: The video cannot be read; the item is marked with the reason.
            BadInputError: There is no such video, it changed, or nothing can lie at *output_path*.
            CapacityError: No room on the disk or the card.
        """
        item = await one_video(context, params.video_id, params.root, params.input_path)
        wish = StreamingWish(target_bitrate_kbps=params.target_bitrate, preset=params.preset, crf=params.crf)
        place = Place(
            root=params.output_root,
            folder=FOLDER,
            recipe=wish.recipe,
            item_id=item.id,
            suffix=".mp4",
            wanted=params.output_path,
        )
        context.report.log(plain_line(f"Input: {item.facts.root}/{item.facts.path}"))
        outputs.check_wanted(place)
        known = await outputs.cached(context, item, kind=KIND, place=place)
        if known is not None:
            facts = known.facts
            return Outcome(result={"outputPath": facts.path, "root": facts.root, "cached": True})
        with await opened(context, item) as source:
            survey = await surveyed(context, item, source)
            work = _Work(
                context=context,
                item=item,
                place=place,
                wish=wish,
                survey=survey,
                source=source,
                ladder=self._ladder,
            )
            made = await _made(work)
        row = outputs.derivative_of(item, made.row, kind=KIND, recipe=place.recipe, media_type="video/mp4")
        context.report.progress(100)
        return Outcome(result=outputs.result_of(made), items=[made.row], derivatives=[row])


async def _made(work: _Work) -> Made:
    if conforms(work.survey, work.wish):
        work.context.report.log("It conforms already: its streams are copied as they are.")
        return await _in_one_go(work, _COPY)
    encoder = await work.ladder.choose(work.context)
    if not (encoder.on_card or encoder.decodes_on_card):
        return await _encoded(work, encoder)
    try:
        return await _encoded(work, encoder)
    except (BadInputError, TransientError) as error:  # what a card refuses, libx264 may take
        work.context.report.log(f"{encoder.name} failed ({error.message}); it is done by {SOFTWARE.name}.")
        return await _encoded(work, SOFTWARE)


async def _encoded(work: _Work, encoder: Encoder) -> Made:
    video = streaming.pictures(work.survey)
    if len(video.chunks) > 1 and work.survey.format in _CUTTABLE:
        try:
            return await _in_chunks(work, encoder)
        except _UncutError as error:
            work.context.report.log(f"{error}: it is encoded in one go, without checkpoints.")
    return await _in_one_go(work, encoder)


async def _in_one_go(work: _Work, encoder: Encoder) -> Made:
    meter = Meter(context=work.context, total_s=work.survey.duration_s)
    output = await outputs.begin(work.context, work.place, expected_bytes=_bytes(work))
    try:
        if encoder is _COPY:
            one = streaming.copy_command(work.survey, work.source.fd, output.fd)
        else:
            one = streaming.whole_command(work.survey, work.wish, encoder, work.source.fd, output.fd)
        await encode(work.context, one, meter)
        return await _published(work, output, encoder, one)
    except BaseException:
        await output.discard()
        raise


async def _in_chunks(work: _Work, encoder: Encoder) -> Made:
    context, video = work.context, streaming.pictures(work.survey)
    chunks = Chunks(context=context, root=work.place.root, folder=FOLDER, key=_key(work, encoder))
    count = len(video.chunks)
    meter = Meter(context=context, total_s=video.duration_s, until=94)
    context.report.log(f"{count} chunks, of which {await chunks.find()} are done.")
    await outputs.require_room(context, work.place.root, 2 * _bytes(work))
    for number, chunk in enumerate(video.chunks):
        if not chunks.has(number):
            await _one_chunk(work, encoder, chunks, number, meter)
        meter.passed(float(video.seconds(chunk.end_pts - chunk.start_pts)))
        context.save({"encoder": encoder.name, "chunks": count, "done": number + 1})
    output = await outputs.begin(context, work.place, expected_bytes=_bytes(work))
    try:
        one = await _join(work, chunks, output)
        made = await _published(work, output, encoder, one, frames=video.frames)
    except BaseException:
        await output.discard()
        raise
    await chunks.remove()
    return made


async def _one_chunk(work: _Work, encoder: Encoder, chunks: Chunks, number: int, meter: Meter) -> None:
    video = streaming.pictures(work.survey)
    chunk = video.chunks[number]
    output = await chunks.begin(number)
    try:
        one = streaming.chunk_command(work.survey, chunk, work.wish, encoder, work.source.fd, output.fd)
        await encode(work.context, one, meter)
        await _check_chunk(work, number, output)
    except BaseException:
        await output.discard()
        raise
    await chunks.keep(number, output)


async def _check_chunk(work: _Work, number: int, output: StagedOutput) -> None:
    wanted = streaming.pictures(work.survey).chunks[number].frames
    found = await outputs.counted_frames(work.context, output.fd)
    if found != wanted:
        raise _UncutError(f"chunk {number} has {found} frames instead of {wanted}")


async def _join(work: _Work, chunks: Chunks, output: StagedOutput) -> Command:
    video = streaming.pictures(work.survey)
    listed = os.memfd_create("chunks")
    try:
        async with chunks.opened(range(len(video.chunks))) as fds:
            os.write(listed, streaming.chunk_list(video, fds).encode())
            one = streaming.join_command(work.survey, fds, listed, work.source.fd, output.fd)
            await encode(work.context, one, Meter(context=work.context, total_s=0))
            return one
    finally:
        os.close(listed)


async def _published(
    work: _Work, output: StagedOutput, encoder: Encoder, one: Command, *, frames: int | None = None
) -> Made:
    expected = Expected(duration_s=work.survey.duration_s, audio=work.survey.audio is not None, frames=frames)
    recorded = Recorded(
        encoder=encoder.name, ffmpeg=await work.ladder.version(), argv=["ffmpeg", *one.arguments]
    )
    return await outputs.publish(
        work.context, output, expected, recorded, recipe=work.place.recipe, sources=[work.item]
    )


def _key(work: _Work, encoder: Encoder) -> str:
    """Name everything that a chunk depends on."""
    plan = repr(streaming.pictures(work.survey).chunks)
    text = f"{work.item.facts.identity}\n{work.place.recipe}\n{encoder.name}\n{plan}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _bytes(work: _Work) -> int:
    return expected_bytes(work.survey, work.wish)
