"""Makes reels: parts of videos in one shape, kept, then joined without encoding the pictures again."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

from callsheet.errors import BadInputError, TransientError
from callsheet.media.compilation import Clip, expected_bytes
from callsheet.media.encoders import SOFTWARE, Encoder
from callsheet.media.survey import Survey
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Made, Place, Recorded
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.processor import BrokenMediaError, Outcome
from callsheet.worker.sources import opened
from callsheet.worker.storage.library import OpenedFile
from callsheet_gpu_worker import clips
from callsheet_gpu_worker.reel_joins import join, join_group, take_group
from callsheet_gpu_worker.reel_state import CLIPS_PERCENT, Kept, Plan, Reel, Taken, expected_of

DROPPED_SHOWN: Final = 100
"""Parts that were left out, in a result."""
_REASON_CHARS: Final = 200
_MEDIA_TYPE: Final = "video/mp4"


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


class _CardFailedError(Exception):
    """A card did not make a clip that libx264 made. Clips of two encoders are not joined."""

    def __init__(self, software: Kept, reason: str) -> None:
        super().__init__(reason)
        self.software = software


async def begun(context: JobContext, ladder: Ladder, plan: Plan) -> Reel:
    """Choose the encoder and look for what earlier attempts kept."""
    failed = (context.checkpoint or {}).get("encoder") == SOFTWARE.name
    encoder = SOFTWARE if failed else await ladder.choose(context)
    return Reel(
        context=context,
        plan=plan,
        kept=await _kept(context, plan, encoder),
        ffmpeg=await ladder.version(),
        meter=Meter(context=context, total_s=plan.length_s, begin=plan.begin_percent, until=CLIPS_PERCENT),
        survey=plan.survey,
    )


async def _kept(context: JobContext, plan: Plan, encoder: Encoder) -> Kept:
    """Look for what was kept of a reel by an encoder."""
    contents = [part.item.facts.identity for part in plan.parts]
    text = f"{plan.place.recipe}\n{encoder.name}\n{contents}\n{plan.segments}"
    key = blake2b(text.encode(), digest_size=8).hexdigest()
    chunks = [
        Chunks(context=context, root=plan.place.root, folder=plan.place.folder, key=f"{key}{suffix}")
        for suffix in ("", "g", "r")
    ]
    found = [await one.find() for one in chunks]
    groups = f" and {found[1]} groups" if found[1] else ""
    context.report.log(f"{len(plan.parts)} clips, of which {found[0]}{groups} are done.")
    return Kept(encoder=encoder, clips=chunks[0], groups=chunks[1], records=chunks[2])


async def fill(reel: Reel) -> None:
    """Make every clip; a part that cannot be used is dropped.

    Raises:
        BrokenMediaError: None of them can be used.
        CapacityError: No room on the disk or the card.
    """
    parts = reel.plan.parts
    room = 2 * expected_bytes(reel.plan.length_s, reel.plan.size)
    await outputs.require_room(reel.context, reel.plan.place.root, room)
    try:
        await _fill(reel)
    except _CardFailedError as error:
        reel.context.report.log(
            f"{reel.kept.encoder.name} failed ({error}); all of it is made by {SOFTWARE.name}."
        )
        await reel.kept.remove()
        reel.kept, reel.taken, reel.dropped, reel.broken = error.software, [], [], []
        reel.meter.done_s = 0.0
        await _fill(reel)
    if not reel.taken:
        raise BrokenMediaError(
            f"none of the {len(parts)} chosen videos can be used: {reel.dropped[0][1]}", broken=reel.broken
        )


async def _fill(reel: Reel) -> None:
    parts = reel.plan.parts
    for group, numbers in reel.in_groups():
        if reel.kept.groups.has(group) and reel.kept.records.has(group):
            await take_group(reel, group)
            continue
        for number in numbers:
            await _fill_one(reel, number)
            done: dict[str, JsonValue] = {"clips": len(parts), "done": number + 1}
            reel.context.save({**done, "encoder": reel.kept.encoder.name})
        if reel.grouped:
            await join_group(reel, group, numbers)


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
        argv = await join(reel, taken, output)
        parts = [reel.plan.parts[one.number] for one in taken]
        return await outputs.publish(
            reel.context,
            output,
            expected_of(taken),
            Recorded(encoder=reel.kept.encoder.name, ffmpeg=reel.ffmpeg, argv=argv, further=further or {}),
            recipe=place.recipe,
            sources=list({part.item.id: part.item for part in parts}.values()),
        )
    except BaseException:
        await output.discard()
        raise


async def remove_kept(reel: Reel) -> None:
    """Remove what was kept for later attempts."""
    await reel.kept.remove()


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
    if part.item.facts.state == ItemState.ITEM_STATE_BROKEN:
        raise BadInputError(f"is broken: {part.item.facts.reason}")
    if reel.context.lease.attempt > 1:  # it may be what workers died of
        await reel.context.library.take_in_hand(part.item)
    with await opened(reel.context, part.item) as source:
        survey = await _survey(reel, part.item, source)
        clip = part.take(survey)
        if reel.kept.clips.has(number):
            return clip
        taken = Taken(number=number, clip=clip)
        try:
            await _encoded(reel, reel.kept, taken, survey, source)
        except (BadInputError, TransientError) as error:  # what a card refuses, libx264 may take
            if not reel.kept.encoder.uses_card:
                raise
            software = await _kept(reel.context, reel.plan, SOFTWARE)
            if not software.clips.has(number):
                await _encoded(reel, software, taken, survey, source)
            raise _CardFailedError(software, error.message) from error
    return clip


async def _encoded(reel: Reel, kept: Kept, taken: Taken, survey: Survey, source: OpenedFile) -> None:
    """Make a clip and keep it."""
    output = await kept.clips.begin(taken.number)
    try:
        one = clips.clip_command(survey, taken.clip, reel.plan.size, kept.encoder, source.fd, output.fd)
        await encode(reel.context, one, reel.meter, run_s=taken.clip.duration_s)
        await outputs.checked(reel.context, output.fd, expected_of([taken]))
    except BaseException:
        await output.discard()
        raise
    await kept.clips.keep(taken.number, output)


async def _survey(reel: Reel, item: Item, source: OpenedFile) -> Survey:
    if reel.survey is None or reel.survey[0] != item.id:
        reel.survey = (item.id, await surveyed(reel.context, item, source))
    return reel.survey[1]
