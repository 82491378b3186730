"""Makes reels: parts of videos in one shape, kept, then joined without encoding the pictures again."""

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

from callsheet.errors import BadInputError
from callsheet.media.compilation import Clip, chapters, expected_bytes
from callsheet.media.encoders import Encoder
from callsheet.media.survey import Survey
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import BrokenItem, Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.commands import concat_list
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Expected, Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.library import OpenedFile
from callsheet.worker.processor import BrokenMediaError, Outcome
from callsheet.worker.sources import opened
from callsheet.worker.staging import StagedOutput
from callsheet_gpu_worker import clips

GROUP_PARTS: Final = 64
"""Clips that one command joins, and files that it holds open. Longer reels are joined in two steps."""
DROPPED_SHOWN: Final = 100
"""Parts that were left out, in a result."""
_REASON_CHARS: Final = 200
_MEDIA_TYPE: Final = "video/mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a reel."""

    item: Item
    title: str
    """Of its chapter."""
    take: Callable[[Survey], Clip]
    """Decides what is taken of the video, once that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A reel that is to be made."""

    place: Place
    kind: str
    """Of the derivative that points from its first source."""
    size: tuple[int, int]
    parts: Sequence[Part]
    """At least one. Parts of one video that follow one another share a survey."""
    length_s: float
    """About."""
    segments: str = ""
    """Names what is taken of the parts, where the recipe and their contents leave that open."""
    begin_percent: int = 0
    """Of the job's progress."""
    survey: tuple[str, Survey] | None = None
    """Of an item that was looked at already, by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A part that is whole."""

    number: int
    """Its place in the plan."""
    clip: Clip


@dataclass(slots=True, kw_only=True)
class Reel:
    """A reel in the making."""

    context: JobContext
    plan: Plan
    encoder: Encoder
    ffmpeg: str
    """The first line of ``ffmpeg -version``."""
    clips: Chunks
    groups: Chunks
    """Clips that are joined already, of a long reel."""
    records: Chunks
    """What each group is made of."""
    meter: Meter
    taken: list[Taken] = field(default_factory=list[Taken])
    dropped: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """The numbers of parts that could not be used, and why."""
    broken: list[BrokenItem] = field(default_factory=list[BrokenItem])
    survey: tuple[str, Survey] | None = None
    """Of the item that was looked at last."""

    @property
    def grouped(self) -> bool:
        """Whether it is joined in two steps."""
        return len(self.plan.parts) > GROUP_PARTS


async def earlier(context: JobContext, item: Item, *, kind: str, place: Place) -> Outcome | None:
    """Return the outcome of a job that finds its reel made already; None where it is to be made.

    Raises:
        BadInputError: The name that is asked for says another format.
    """
    outputs.check_wanted(place)
    known = await outputs.cached(context, item, kind=kind, place=place)
    if known is None:
        return None
    return Outcome(result={"outputPath": known.facts.path, "root": known.facts.root, "cached": True})


async def made(
    context: JobContext, ladder: Ladder, plan: Plan, *, further: dict[str, JsonValue] | None = None
) -> tuple[Reel, Made]:
    """Make a reel from its first clip to its publication; its item says *further* what it is made of.

    Raises:
        BrokenMediaError: None of its parts can be used.
        CapacityError: No room on the disk or the card.
    """
    reel = await begun(context, ladder, plan)
    await fill(reel)
    published = await joined(reel, reel.taken, plan.place, further=further)
    await remove_kept(reel)
    return reel, published


def outcome(reel: Reel, published: Made, further: dict[str, JsonValue]) -> Outcome:
    """Return what a job reports of its only reel."""
    plan = reel.plan
    row = outputs.derivative_of(
        plan.parts[0].item, published.row, kind=plan.kind, recipe=plan.place.recipe, media_type=_MEDIA_TYPE
    )
    reel.context.report.progress(100)
    result = {**outputs.result_of(published), "dropped": dropped(reel), **further}
    return Outcome(result=result, items=[published.row], derivatives=[row], broken=reel.broken)


def dropped(reel: Reel) -> list[JsonValue]:
    """Return the parts that were left out, for a result."""
    return [
        {"videoId": reel.plan.parts[number].item.id, "reason": reason[:_REASON_CHARS]}
        for number, reason in reel.dropped[:DROPPED_SHOWN]
    ]


async def begun(context: JobContext, ladder: Ladder, plan: Plan) -> Reel:
    """Choose the encoder and look for what earlier attempts kept."""
    encoder = await ladder.choose(context)
    contents = [part.item.facts.identity for part in plan.parts]
    text = f"{plan.place.recipe}\n{encoder.name}\n{contents}\n{plan.segments}"
    key = blake2b(text.encode(), digest_size=8).hexdigest()
    kept = [
        Chunks(context=context, root=plan.place.root, folder=plan.place.folder, key=f"{key}{suffix}")
        for suffix in ("", "g", "r")
    ]
    found = [await one.find() for one in kept]
    groups = f" and {found[1]} groups" if found[1] else ""
    context.report.log(f"{len(plan.parts)} clips, of which {found[0]}{groups} are done.")
    return Reel(
        context=context,
        plan=plan,
        encoder=encoder,
        ffmpeg=await ladder.version(),
        clips=kept[0],
        groups=kept[1],
        records=kept[2],
        meter=Meter(context=context, total_s=plan.length_s, begin=plan.begin_percent, until=90),
        survey=plan.survey,
    )


async def fill(reel: Reel) -> None:
    """Make every clip; a part that cannot be used is dropped.

    Raises:
        BrokenMediaError: None of them can be used.
        CapacityError: No room on the disk or the card.
    """
    parts = reel.plan.parts
    room = 2 * expected_bytes(reel.plan.length_s, reel.plan.size)
    await outputs.require_room(reel.context, reel.plan.place.root, room)
    for group, begin in enumerate(range(0, len(parts), GROUP_PARTS)):
        numbers = range(begin, min(begin + GROUP_PARTS, len(parts)))
        if reel.groups.has(group) and reel.records.has(group):
            await _take_group(reel, group)
            continue
        for number in numbers:
            await _fill_one(reel, number)
            reel.context.save({"clips": len(parts), "done": number + 1})
        if reel.grouped:
            await _join_group(reel, group, numbers)
    if not reel.taken:
        raise BrokenMediaError(
            f"none of the {len(parts)} chosen videos can be used: {reel.dropped[0][1]}", broken=reel.broken
        )


async def joined(
    reel: Reel, taken: Sequence[Taken], place: Place, *, further: dict[str, JsonValue] | None = None
) -> Made:
    """Join clips, check the reel and publish it; the clips stay.

    Raises:
        TransientError: It is not what was expected; nothing was published.
        CapacityError: No room on the disk.
    """
    length_s = sum(one.clip.length_s for one in taken)
    output = await outputs.begin(
        reel.context, place, expected_bytes=expected_bytes(float(length_s), reel.plan.size)
    )
    try:
        argv = await _join(reel, taken, output)
        parts = [reel.plan.parts[one.number] for one in taken]
        return await outputs.publish(
            reel.context,
            output,
            _expected(taken),
            Recorded(encoder=reel.encoder.name, ffmpeg=reel.ffmpeg, argv=argv, further=further or {}),
            recipe=place.recipe,
            sources=list({part.item.id: part.item for part in parts}.values()),
        )
    except BaseException:
        await output.discard()
        raise


async def remove_kept(reel: Reel) -> None:
    """Remove what was kept for later attempts."""
    for one in (reel.clips, reel.groups, reel.records):
        await one.remove()


async def _fill_one(reel: Reel, number: int) -> None:
    item, context = reel.plan.parts[number].item, reel.context
    try:
        clip = await _clip(reel, number)
    except BadInputError as error:
        reel.dropped.append((number, error.message))
        reel.broken += error.broken if isinstance(error, BrokenMediaError) else ()
        context.report.log(plain_line(f"{item.facts.path}: dropped, {error.message}"))
    else:
        reel.taken.append(Taken(number=number, clip=clip))
        reel.meter.passed(clip.duration_s)


async def _clip(reel: Reel, number: int) -> Clip:
    part = reel.plan.parts[number]
    with await opened(reel.context, part.item) as source:
        survey = await _survey(reel, part.item, source)
        clip = part.take(survey)
        if reel.clips.has(number):
            return clip
        output = await reel.clips.begin(number)
        try:
            one = clips.clip_command(survey, clip, reel.plan.size, reel.encoder, source.fd, output.fd)
            await encode(reel.context, one, reel.meter)
            await outputs.checked(reel.context, output.fd, _expected([Taken(number=number, clip=clip)]))
        except BaseException:
            await output.discard()
            raise
    await reel.clips.keep(number, output)
    return clip


async def _survey(reel: Reel, item: Item, source: OpenedFile) -> Survey:
    if reel.survey is None or reel.survey[0] != item.id:
        reel.survey = (item.id, await surveyed(reel.context, item, source))
    return reel.survey[1]


async def _join_group(reel: Reel, group: int, numbers: range) -> None:
    """Join the clips of a group, keep it with what it is made of, and remove the clips."""
    taken = [one for one in reel.taken if one.number in numbers]
    if not taken:
        return
    output = await reel.groups.begin(group)
    try:
        lengths = [one.clip.length_s for one in taken]
        async with reel.clips.opened(one.number for one in taken) as fds:
            with _written(concat_list(list(zip(fds, lengths, strict=True)))) as listed:
                one = clips.group_command(fds, listed, output.fd)
                await encode(reel.context, one, Meter(context=reel.context, total_s=0))
        await outputs.checked(reel.context, output.fd, _expected(taken))
        await _record(reel, group, numbers, taken)
    except BaseException:
        await output.discard()
        raise
    await reel.groups.keep(group, output)
    await reel.clips.remove(numbers)


async def _record(reel: Reel, group: int, numbers: range, taken: Sequence[Taken]) -> None:
    """Keep what a group is made of."""
    record = {
        "taken": [[one.number, one.clip.start_s, one.clip.frames, str(one.clip.rate)] for one in taken],
        "dropped": [[number, reason] for number, reason in reel.dropped if number in numbers],
    }
    await reel.records.write(group, json.dumps(record).encode())


async def _take_group(reel: Reel, group: int) -> None:
    """Take in a group that an earlier attempt made."""
    record = json.loads(await reel.records.read(group))
    for number, start_s, frames, rate in record["taken"]:
        clip = Clip(start_s=start_s, frames=frames, rate=Fraction(rate))
        reel.taken.append(Taken(number=number, clip=clip))
        reel.meter.passed(clip.duration_s)
    reel.dropped += [(number, reason) for number, reason in record["dropped"]]


async def _join(reel: Reel, taken: Sequence[Taken], output: StagedOutput) -> list[str]:
    """Join into *output*; returns the command."""
    titles = [(reel.plan.parts[one.number].title, one.clip) for one in taken]
    pieces = [(one.number // GROUP_PARTS if reel.grouped else one.number, one.clip.length_s) for one in taken]
    lengths: dict[int, Fraction] = {}
    for number, length_s in pieces:
        lengths[number] = lengths.get(number, Fraction(0)) + length_s
    kept = reel.groups if reel.grouped else reel.clips
    async with kept.opened(lengths) as fds:
        with (
            _written(concat_list(list(zip(fds, lengths.values(), strict=True)))) as listed,
            _written(chapters(titles)) as marks,
        ):
            one = clips.join_command(fds, listed, marks, output.fd)
            await encode(reel.context, one, Meter(context=reel.context, total_s=0))
            return ["ffmpeg", *one.arguments]


def _expected(taken: Sequence[Taken]) -> Expected:
    length_s = float(sum(one.clip.length_s for one in taken))
    return Expected(duration_s=length_s, audio_s=length_s, frames=sum(one.clip.frames for one in taken))


@contextmanager
def _written(text: str) -> Generator[int]:
    """Give a descriptor of a file in memory."""
    fd = os.memfd_create("list")
    try:
        os.write(fd, text.encode())
        yield fd
    finally:
        os.close(fd)
