"""Measures a video, chooses its best parts and joins them; a short video is taken as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

from callsheet.media.compilation import own_rate, own_size, part_of, pictures_end_s
from callsheet.media.moments import Segment, Timeline, timeline_of
from callsheet.media.streaming import StreamingWish, conforms
from callsheet.media.survey import Survey
from callsheet.reel_params import OneVideoParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Place
from callsheet.worker.encode.runs import Meter
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.measuring import measured
from callsheet.worker.processor import Outcome
from callsheet.worker.sources import one_video, opened
from callsheet.worker.storage.library import OpenedFile
from callsheet.worker.threads import in_thread
from callsheet_gpu_worker import copies, reel, streaming
from callsheet_gpu_worker.reel_state import Part, Plan

FOLDER: Final = "compilations"
MEASURED_PERCENT: Final = 30
"""The progress that the end of the measurement stands for."""
_ANY_BITRATE: Final = StreamingWish(target_bitrate_kbps=1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which parts of a video somebody asks for."""

    kind: str
    """Of the derivative."""
    recipe: str
    whole_s: float
    """A video that lasts no longer is taken as a whole."""
    choose: Callable[[Timeline], Sequence[Segment]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One excerpt in the making."""

    context: JobContext
    ladder: Ladder
    wish: Wish
    place: Place
    item: Item
    source: OpenedFile
    survey: Survey
    measures: Chunks


async def excerpt(context: JobContext, ladder: Ladder, params: OneVideoParams, wish: Wish) -> Outcome:
    """Join the parts of a video that a wish chooses.

    Raises:
        BrokenMediaError: The video cannot be read; the item is marked with the reason.
        BadInputError: There is no such video, it changed, or nothing can lie at *output_path*.
        CapacityError: No room on the disk or the card.
    """
    item = await one_video(context, params.video_id, params.root, params.input_path)
    place = Place(
        root=params.output_root,
        folder=FOLDER,
        recipe=wish.recipe,
        item_id=item.id,
        suffix=".mp4",
        wanted=params.output_path,
    )
    context.report.log(plain_line(f"Input: {item.facts.root}/{item.facts.path}"))
    known = await reel.earlier(context, item, kind=wish.kind, place=place)
    if known is not None:
        return known
    content = blake2b(item.facts.identity.encode(), digest_size=8).hexdigest()
    with await opened(context, item) as source:
        work = _Work(
            context=context,
            ladder=ladder,
            wish=wish,
            place=place,
            item=item,
            source=source,
            survey=await surveyed(context, item, source),
            measures=Chunks(context=context, root=place.root, folder=FOLDER, key=f"{content}m"),
        )
        return await _made(work)


async def _made(work: _Work) -> Outcome:
    length_s = pictures_end_s(work.survey)
    if length_s > work.wish.whole_s:
        series = await measured(
            work.context, work.item, work.source, until_percent=MEASURED_PERCENT, kept=work.measures
        )
        chosen = await in_thread(lambda: work.wish.choose(timeline_of(series, length_s)))
        outcome = await _joined(work, chosen, MEASURED_PERCENT)
        await work.measures.remove()
        return outcome
    work.context.report.log(f"It lasts {length_s:.1f} s: it is taken as a whole.")
    whole = [Segment(start_s=0.0, length_s=length_s)]
    if conforms(work.survey, _ANY_BITRATE):
        return await _copied(work, whole)
    return await _joined(work, whole, 0)


async def _joined(work: _Work, chosen: Sequence[Segment], begin_percent: int) -> Outcome:
    video, item = streaming.pictures(work.survey), work.item
    rate, shown = own_rate(video), said(chosen)
    for one in chosen:
        work.context.report.log(f"{instant(one.start_s)}: {one.length_s:.1f} s, score {one.score:.2f}")
    plan = Plan(
        place=work.place,
        kind=work.wish.kind,
        size=own_size(video),
        parts=[
            Part(
                item=item,
                title=instant(one.start_s),
                take=partial(part_of, start_s=one.start_s, length_s=one.length_s, rate=rate),
            )
            for one in chosen
        ],
        length_s=sum(one.length_s for one in chosen),
        segments=repr(shown),
        begin_percent=begin_percent,
        survey=(item.id, work.survey),
    )
    made, published = await reel.made(work.context, work.ladder, plan, further={"parts": shown})
    return reel.outcome(made, published, {"parts": shown})


async def _copied(work: _Work, whole: Sequence[Segment]) -> Outcome:
    survey, shown = work.survey, said(whole)
    published = await copies.copied(
        work.context,
        copies.Copy(
            item=work.item,
            place=work.place,
            length_s=survey.duration_s,
            audio=survey.audio is not None,
            bytes=work.source.size_bytes,
            command=partial(streaming.copy_command, survey, work.source.fd),
            ffmpeg=await work.ladder.version(),
            further={"parts": shown},
        ),
        Meter(context=work.context, total_s=survey.duration_s),
    )
    row = outputs.derivative_of(
        work.item, published.row, kind=work.wish.kind, recipe=work.place.recipe, media_type="video/mp4"
    )
    work.context.report.progress(100)
    result = {**outputs.result_of(published), "dropped": [], "parts": shown}
    return Outcome(result=result, items=[published.row], derivatives=[row])


def said(segments: Sequence[Segment]) -> list[JsonValue]:
    """Return parts as results and items say them."""
    return [
        {"start": round(one.start_s, 3), "duration": round(one.length_s, 3), "score": round(one.score, 3)}
        for one in segments
    ]


def instant(seconds: float) -> str:
    """Return an instant of a video for a person, such as ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
