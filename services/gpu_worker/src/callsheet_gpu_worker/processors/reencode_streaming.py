"""Makes a version of a video for streaming: in chunks where it is long, with the help of other workers.

A long video's job may yield to jobs that do its chunks, and joins them when it is granted again. What they
leave undone it does itself. A pause loses one chunk at most.
"""

from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from callsheet.catalog import REENCODE_STREAMING
from callsheet.errors import BadInputError, TransientError
from callsheet.media.encoders import SOFTWARE, Encoder, named
from callsheet.media.streaming import StreamingWish, conforms, expected_bytes
from callsheet.media.survey import Survey
from callsheet.params import Distribute, ReencodeStreamingParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.commands import Command
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Expected, Made, Place, Recorded
from callsheet.worker.encode.plans import PlanFile
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import check_unchanged, surveyed
from callsheet.worker.processor import Outcome, Processor, Yielded
from callsheet.worker.sources import one_video, opened
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import StagedOutput
from callsheet_gpu_worker import chunked, sharing, streaming
from callsheet_gpu_worker.chunked import Cut, UncutError

KIND: Final = "playback"
"""The kind of derivative that a source gets."""
_COPY: Final = Encoder(name="copy", codec="copy")


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
    plan: PlanFile
    distribute: Distribute | None


class ReencodeStreaming(Processor[ReencodeStreamingParams]):
    """Publishes an MP4 that becomes an item of the library, and points to it from its source."""

    job_type = REENCODE_STREAMING

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: ReencodeStreamingParams, context: JobContext) -> Outcome | Yielded:
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
            folder=chunked.FOLDER,
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
            plan = chunked.plan_file(
                context,
                place.root,
                chunked.plan_key(item.facts.identity, wish),
                job_id=context.lease.job_id,
            )
            survey = await _surveyed(context, item, source, plan)
            work = _Work(
                context=context,
                item=item,
                place=place,
                wish=wish,
                survey=survey,
                source=source,
                ladder=self._ladder,
                plan=plan,
                distribute=params.distribute,
            )
            made = await _made(work)
        if isinstance(made, Yielded):
            return made
        row = outputs.derivative_of(item, made.row, kind=KIND, recipe=place.recipe, media_type="video/mp4")
        context.report.progress(100)
        return Outcome(result=outputs.result_of(made), items=[made.row], derivatives=[row])


async def _surveyed(context: JobContext, item: Item, source: OpenedFile, file: PlanFile) -> Survey:
    """Return the survey that an earlier attempt's plan rests on, so that its chunks fit; else a new one."""
    plan = await file.read()
    if plan is None:
        return await surveyed(context, item, source)
    await check_unchanged(item, source)
    return plan.survey


async def _made(work: _Work) -> Made | Yielded:
    if conforms(work.survey, work.wish):
        work.context.report.log("It conforms already: its streams are copied as they are.")
        return await _in_one_go(work, _COPY)
    encoder = named((work.context.checkpoint or {}).get("encoder"))
    if encoder is None:
        encoder = await work.ladder.choose(work.context)
    if not encoder.uses_card:
        return await _encoded(work, encoder)
    try:
        return await _encoded(work, encoder)
    except (BadInputError, TransientError) as error:  # what a card refuses, libx264 may take
        work.context.report.log(f"{encoder.name} failed ({error.message}); it is done by {SOFTWARE.name}.")
        return await _encoded(work, SOFTWARE)


async def _encoded(work: _Work, encoder: Encoder) -> Made | Yielded:
    if chunked.can_be_cut(work.survey):
        try:
            return await _in_chunks(work, encoder)
        except UncutError as error:
            work.context.report.log(f"{error.message}: it is encoded in one go, without checkpoints.")
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


async def _in_chunks(work: _Work, encoder: Encoder) -> Made | Yielded:
    context, cut = work.context, _cut(work, encoder)
    video, chunks = cut.video, cut.chunks()
    await sharing.tell(cut)
    missing = await chunked.find_whole(cut, chunks)
    count = len(video.chunks)
    context.report.log(f"{count} chunks, of which {count - len(missing)} are done.")
    await outputs.require_room(context, work.place.root, 2 * _bytes(work))
    asked = await sharing.shared(cut, work.item, missing, work.distribute)
    if asked is not None:
        return asked
    meter = Meter(context=context, total_s=video.duration_s, until=94)
    for number in range(count):
        if number in missing:
            await chunked.encode_chunk(cut, chunks, number, meter)
        meter.passed(chunked.seconds_of(cut, number))
        context.save({"encoder": encoder.name, "chunks": count, "done": number + 1})
    output = await outputs.begin(context, work.place, expected_bytes=_bytes(work))
    try:
        one = await chunked.join(cut, chunks, output)
        made = await _published(work, output, encoder, one, frames=video.frames)
    except BaseException:
        await output.discard()
        raise
    await chunks.remove()
    await work.plan.remove()
    return made


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


def _cut(work: _Work, encoder: Encoder) -> Cut:
    return Cut(
        context=work.context,
        identity=work.item.facts.identity,
        root=work.place.root,
        wish=work.wish,
        survey=work.survey,
        source=work.source,
        encoder=encoder,
    )


def _bytes(work: _Work) -> int:
    return expected_bytes(work.survey, work.wish)
