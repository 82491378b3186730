"""Encodes one chunk of a long video by the plan that its parent has written."""

from typing import Final

from typing_extensions import override

from callsheet.catalog import REENCODE_CHUNK
from callsheet.errors import BadInputError, TransientError
from callsheet.media.encoders import SOFTWARE, Encoder
from callsheet.params import ReencodeChunkParams
from callsheet.service.plain import plain_line
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.runs import Meter
from callsheet.worker.encode.surveys import check_unchanged
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import one_video, opened
from callsheet_gpu_worker import chunked
from callsheet_gpu_worker.chunked import Cut

_BYTES_OF_KBIT: Final = 125


class ReencodeChunk(Processor[ReencodeChunkParams]):
    """Leaves the chunk hidden beside the output of its parent, under the parent's name."""

    job_type = REENCODE_CHUNK

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: ReencodeChunkParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such plan any more, the video changed, or it cannot be cut exactly.
            CapacityError: No room on the disk or the card.
            TransientError: This worker does not encode by the codec of the other chunks.
        """
        item = await one_video(context, params.video_id, params.root, None)
        job_id = str(params.parent)
        file = chunked.plan_file(context, params.output_root, params.plan, job_id=job_id)
        plan = await file.read()
        if plan is None or plan.identity != item.facts.identity:
            raise BadInputError(f"plan: job {job_id} has no plan {params.plan} for this video any more")
        with await opened(context, item) as source:
            await check_unchanged(item, source)
            cut = Cut(
                context=context,
                identity=plan.identity,
                root=params.output_root,
                wish=plan.wish,
                survey=plan.survey,
                source=source,
                encoder=await self._encoder(params.codec, context),
            )
            return await _made(cut, params.number, job_id)

    async def _encoder(self, codec: str, context: JobContext) -> Encoder:
        if codec == SOFTWARE.codec and context.device is None:
            return SOFTWARE
        rung = await self._ladder.choose(context)
        if rung.codec == codec:
            return rung
        if codec == SOFTWARE.codec:
            return SOFTWARE
        raise TransientError(f"codec: the other chunks are encoded by {codec}, which does not work here")


async def _made(cut: Cut, number: int, job_id: str) -> Outcome:
    context, video = cut.context, cut.video
    if number >= len(video.chunks):
        raise BadInputError(f"number: the plan has {len(video.chunks)} chunks; there is no chunk {number}")
    chunk, chunks = video.chunks[number], cut.chunks(job_id=job_id)
    await chunks.find()
    cached = chunks.has(number)
    if not cached:
        seconds = chunked.seconds_of(cut, number)
        needed = round(seconds * cut.wish.target_bitrate_kbps * _BYTES_OF_KBIT)
        await outputs.require_room(context, cut.root, needed)
        context.report.log(plain_line(f"Chunk {number} of {len(video.chunks)}: {seconds:.1f} s"))
        await chunked.encode_chunk(cut, chunks, number, Meter(context=context, total_s=seconds))
    context.report.progress(100)
    return Outcome(
        result={
            "number": number,
            "frames": chunk.frames,
            "encoder": cut.encoder.name,
            "cached": cached,
        }
    )
