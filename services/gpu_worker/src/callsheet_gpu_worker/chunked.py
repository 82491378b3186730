"""Encodes a video in chunks that can be done by several jobs, and joins them."""

import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from callsheet.errors import BadInputError
from callsheet.media.encoders import Encoder
from callsheet.media.streaming import StreamingWish
from callsheet.media.survey import Survey, VideoTrack
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.commands import Command
from callsheet.worker.encode.plans import Plan, PlanFile
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.storage.staging import StagedOutput
from callsheet_gpu_worker import streaming

FOLDER: Final = "playback"
"""Where outputs lie that nobody asks for by path, and all chunks."""
_CUTTABLE: Final = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers in which a keyframe is found by its instant."""


class UncutError(BadInputError):
    """A chunk has not the frames that the survey counted: the source cannot be cut exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A video that is encoded in chunks."""

    context: JobContext
    identity: str
    """The quick identity of the source."""
    root: str
    """Where the chunks lie."""
    wish: StreamingWish
    survey: Survey
    source: OpenedFile
    encoder: Encoder

    @property
    def video(self) -> VideoTrack:
        """The moving pictures."""
        return streaming.pictures(self.survey)

    def chunks(self, *, job_id: str = "") -> Chunks:
        """Return the chunks of this attempt's job, or of *job_id*.

        Their key names everything that they depend on. Rungs of the ladder that use the same codec can
        stand in for one another.
        """
        text = f"{self.identity}\n{self.wish.recipe}\n{self.encoder.codec}\n{self.video.chunks!r}"
        return Chunks(context=self.context, root=self.root, folder=FOLDER, key=_short(text), job_id=job_id)


def can_be_cut(survey: Survey) -> bool:
    """Say whether a video is encoded in chunks."""
    return len(streaming.pictures(survey).chunks) > 1 and survey.format in _CUTTABLE


def plan_key(identity: str, wish: StreamingWish) -> str:
    """Return the key of the plan that makes *wish* of a content."""
    return _short(f"{identity}\n{wish.recipe}")


def plan_file(context: JobContext, root: str, key: str, *, job_id: str) -> PlanFile:
    """Return where the plan of a job lies."""
    return PlanFile(context=context, root=root, folder=FOLDER, key=key, job_id=job_id)


def plan_of(cut: Cut) -> Plan:
    """Return what another job has to know to do a chunk."""
    return Plan(identity=cut.identity, wish=cut.wish, survey=cut.survey)


async def encode_chunk(cut: Cut, chunks: Chunks, number: int, meter: Meter) -> None:
    """Encode one chunk and keep it once its frames have been counted.

    Raises:
        UncutError: It has other frames than it should.
    """
    chunk, output = cut.video.chunks[number], await chunks.begin(number)
    try:
        one = streaming.chunk_command(cut.survey, chunk, cut.wish, cut.encoder, cut.source.fd, output.fd)
        await encode(cut.context, one, meter, run_s=seconds_of(cut, number))
        _check(number, await outputs.counted_frames(cut.context, output.fd), chunk.frames)
    except BaseException:
        await output.discard()
        raise
    await chunks.keep(number, output)


def seconds_of(cut: Cut, number: int) -> float:
    """Return how much of the video a chunk is."""
    chunk = cut.video.chunks[number]
    return float(cut.video.seconds(chunk.end_pts - chunk.start_pts))


async def find_whole(cut: Cut, chunks: Chunks) -> list[int]:
    """Look for what was kept, remove what has not its frames, and return the numbers that are missing."""
    await chunks.find()
    missing: list[int] = []
    for number, chunk in enumerate(cut.video.chunks):
        if chunks.has(number):
            async with chunks.opened([number]) as (fd,):
                found = await outputs.counted_frames(cut.context, fd)
            if found == chunk.frames:
                continue
            cut.context.report.log(
                f"Chunk {number} has {found} frames instead of {chunk.frames}: it is made again."
            )
            await chunks.remove([number])
        missing.append(number)
    return missing


async def join(cut: Cut, chunks: Chunks, output: StagedOutput) -> Command:
    """Join all chunks, add the sound, and return the command that did it."""
    video, listed = cut.video, os.memfd_create("chunks")
    try:
        async with chunks.opened(range(len(video.chunks))) as fds:
            os.write(listed, streaming.chunk_list(video, fds).encode())
            one = streaming.join_command(cut.survey, fds, listed, cut.source.fd, output.fd)
            await encode(cut.context, one, Meter(context=cut.context, total_s=0))
            return one
    finally:
        os.close(listed)


def _check(number: int, found: int, wanted: int) -> None:
    if found != wanted:
        raise UncutError(f"chunk {number} has {found} frames instead of {wanted}")


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
