"""Joins videos that chance chooses: each brought into one shape, kept, then joined without encoding again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import COMPILE_RANDOM
from callsheet.errors import BadInputError
from callsheet.media.compilation import (
    RATE,
    Candidate,
    Clip,
    CompilationWish,
    chapters,
    choose,
    clip_of,
    expected_bytes,
)
from callsheet.media.encoders import Encoder
from callsheet.params import CompileRandomParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import BrokenItem, Item, ItemState, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Expected, Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.processor import BrokenMediaError, Outcome, Processor
from callsheet.worker.sources import opened
from callsheet.worker.staging import StagedOutput
from callsheet_gpu_worker import clips

KIND: Final = "compilation"
FOLDER: Final = "compilations"


@dataclass(slots=True, kw_only=True)
class _Work:
    """One compilation; what it is made of grows while it runs."""

    context: JobContext
    wish: CompilationWish
    place: Place
    chosen: Sequence[Item]
    encoder: Encoder
    kept: Chunks
    meter: Meter
    taken: list[tuple[int, Item, Clip]] = field(default_factory=list[tuple[int, Item, Clip]])
    """The number, item and part of each clip that is whole."""
    dropped: list[tuple[Item, str]] = field(default_factory=list[tuple[Item, str]])
    broken: list[BrokenItem] = field(default_factory=list[BrokenItem])


class CompileRandom(Processor[CompileRandomParams]):
    """Publishes an MP4 that becomes an item of the library; a video that cannot be used is left out."""

    job_type = COMPILE_RANDOM

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: CompileRandomParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: No video fits, or none of those chosen can be used.
            CapacityError: No room on the disk or the card.
        """
        wish = _wish(params, context)
        chosen = await _chosen(context, params, wish)
        recipe = wish.recipe([one.facts.identity for one in chosen])
        place = Place(
            root=params.output_root,
            folder=FOLDER,
            recipe=recipe,
            item_id=chosen[0].id,
            suffix=".mp4",
            wanted=params.output_path,
        )
        outputs.check_wanted(place)
        known = await outputs.cached(context, chosen[0], kind=KIND, place=place)
        if known is not None:
            return Outcome(result={"outputPath": known.facts.path, "root": known.facts.root, "cached": True})
        encoder = await self._ladder.choose(context)
        work = _Work(
            context=context,
            wish=wish,
            place=place,
            chosen=chosen,
            encoder=encoder,
            kept=Chunks(context=context, root=place.root, folder=FOLDER, key=_key(recipe, encoder)),
            meter=Meter(context=context, total_s=_length_s(chosen, wish), until=90),
        )
        await _clips(work)
        made = await _joined(work, await self._ladder.version())
        row = outputs.derivative_of(chosen[0], made.row, kind=KIND, recipe=recipe, media_type="video/mp4")
        context.report.progress(100)
        return Outcome(result=_result(work, made), items=[made.row], derivatives=[row], broken=work.broken)


def _wish(params: CompileRandomParams, context: JobContext) -> CompilationWish:
    if params.min_duration > params.max_duration:
        raise BadInputError("minDuration: is more than maxDuration; no video lasts so long")
    return CompilationWish(
        count=params.count,
        min_duration_s=params.min_duration,
        max_duration_s=params.max_duration,
        orientation=params.orientation,
        clip_s=params.clip_length,
        seed=context.lease.job_id if params.seed is None else params.seed,
    )


async def _chosen(context: JobContext, params: CompileRandomParams, wish: CompilationWish) -> list[Item]:
    items = {
        item.id: item
        for item in await context.library.items_below(params.root, params.path or "")
        if item.facts.kind == MediaKind.MEDIA_KIND_VIDEO and item.facts.state == ItemState.ITEM_STATE_OK
    }
    candidates = [
        Candidate(
            item_id=item.id,
            duration_s=item.facts.duration_s,
            width=item.facts.width,
            height=item.facts.height,
        )
        for item in items.values()
    ]
    chosen = choose(candidates, wish)
    if not chosen:
        raise BadInputError(
            f"none of {len(items)} videos fits: ask for another length or orientation, or scan the library"
        )
    context.report.log(f"{len(chosen)} of {len(items)} videos were chosen.")
    found = {item.id: item for item in await context.library.items([one.item_id for one in chosen])}
    return [found[one.item_id] for one in chosen if one.item_id in found]


async def _clips(work: _Work) -> None:
    """Make every clip; a video that cannot be used is dropped."""
    context = work.context
    found = await work.kept.find()
    context.report.log(f"{len(work.chosen)} clips, of which {found} are done.")
    await outputs.require_room(context, work.place.root, 2 * expected_bytes(int(work.meter.total_s * RATE)))
    for number, item in enumerate(work.chosen):
        try:
            clip = await _clip(work, number, item)
        except BadInputError as error:
            work.dropped.append((item, error.message))
            work.broken += error.broken if isinstance(error, BrokenMediaError) else ()
            context.report.log(plain_line(f"{item.facts.path}: dropped, {error.message}"))
        else:
            work.taken.append((number, item, clip))
            work.meter.passed(clip.duration_s)
        context.save({"clips": len(work.chosen), "done": number + 1})
    if not work.taken:
        raise BrokenMediaError(
            f"none of the {len(work.chosen)} chosen videos can be used: {work.dropped[0][1]}",
            broken=work.broken,
        )


async def _clip(work: _Work, number: int, item: Item) -> Clip:
    with await opened(work.context, item) as source:
        survey = await surveyed(work.context, item, source)
        clip = clip_of(survey, work.wish)
        if work.kept.has(number):
            return clip
        output = await work.kept.begin(number)
        try:
            one = clips.clip_command(survey, clip, work.wish.size, work.encoder, source.fd, output.fd)
            await encode(work.context, one, work.meter)
            await outputs.checked(work.context, output.fd, _expected(clip))
        except BaseException:
            await output.discard()
            raise
    await work.kept.keep(number, output)
    return clip


def _expected(clip: Clip) -> Expected:
    return Expected(duration_s=clip.duration_s, audio_s=clip.duration_s, frames=clip.frames)


async def _joined(work: _Work, version: str) -> Made:
    frames = sum(clip.frames for _, _, clip in work.taken)
    output = await outputs.begin(work.context, work.place, expected_bytes=expected_bytes(frames))
    try:
        made = await _join(work, output, frames, version)
    except BaseException:
        await output.discard()
        raise
    await work.kept.remove()
    return made


async def _join(work: _Work, output: StagedOutput, frames: int, version: str) -> Made:
    listed, marks = os.memfd_create("clips"), os.memfd_create("chapters")
    try:
        titles = [(item.facts.path.rpartition("/")[2], clip) for _, item, clip in work.taken]
        os.write(marks, chapters(titles).encode())
        with work.kept.opened([number for number, _, _ in work.taken]) as fds:
            os.write(listed, clips.clip_list(fds, [clip for _, _, clip in work.taken]).encode())
            one = clips.join_command(fds, listed, marks, output.fd)
            await encode(work.context, one, Meter(context=work.context, total_s=0))
        expected = Expected(duration_s=frames / RATE, audio_s=frames / RATE, frames=frames)
        recorded = Recorded(encoder=work.encoder.name, ffmpeg=version, argv=["ffmpeg", *one.arguments])
        return await outputs.publish(
            work.context,
            output,
            expected,
            recorded,
            recipe=work.place.recipe,
            sources=[item for _, item, _ in work.taken],
        )
    finally:
        os.close(listed)
        os.close(marks)


def _length_s(chosen: Sequence[Item], wish: CompilationWish) -> float:
    return sum(min(item.facts.duration_s, wish.clip_s or item.facts.duration_s) for item in chosen)


def _key(recipe: str, encoder: Encoder) -> str:
    return blake2b(f"{recipe}\n{encoder.name}".encode(), digest_size=8).hexdigest()


def _result(work: _Work, made: Made) -> dict[str, JsonValue]:
    return {
        **outputs.result_of(made),
        "seed": work.wish.seed,
        "videoIds": [item.id for _, item, _ in work.taken],
        "dropped": [{"videoId": item.id, "reason": reason[:200]} for item, reason in work.dropped],
    }
