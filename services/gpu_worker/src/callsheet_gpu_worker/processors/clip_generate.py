"""Cuts parts out of a video, given ones or those that its digest is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from typing_extensions import override

from callsheet.catalog import CLIP_GENERATE
from callsheet.errors import BadInputError
from callsheet.media.compilation import own_rate, own_size, part_of, pictures_end_s
from callsheet.media.moments import Segment
from callsheet.media.recipes import recipe_of
from callsheet.media.streaming import SHORT_SIDE_MAX
from callsheet.media.survey import Survey
from callsheet.reel_params import ClipGenerateParams
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Derivative, DerivativeFacts, Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode import outputs
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Made, Place
from callsheet.worker.encode.runs import Meter
from callsheet.worker.encode.surveys import surveyed
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sources import one_video, opened
from callsheet.worker.storage.library import OpenedFile
from callsheet_gpu_worker import copies, reel, streaming
from callsheet_gpu_worker.excerpts import instant, said
from callsheet_gpu_worker.reel_state import Part, Plan

KIND: Final = "clip"
FOLDER: Final = "compilations"
_SUFFIX: Final = ".mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clip:
    """A clip that is asked for."""

    segment: Segment
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The clips of one video that are still to be made."""

    context: JobContext
    ladder: Ladder
    item: Item
    source: OpenedFile
    survey: Survey
    clips: Sequence[_Clip]


class ClipGenerate(Processor[ClipGenerateParams]):
    """Publishes MP4s that become items of the library."""

    job_type = CLIP_GENERATE

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: ClipGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BrokenMediaError: The video cannot be read; the item is marked with the reason.
            BadInputError: There is no such video, it is no digest, or it has no such part.
            CapacityError: No room on the disk or the card.
        """
        item = await one_video(context, params.video_id, params.root, params.input_path)
        if params.ranges:
            segments = _given(params)
        else:
            item, segments = await _of_digest(context, item, params.count)
        context.report.log(plain_line(f"Input: {item.facts.root}/{item.facts.path}, {len(segments)} clips"))
        clips = _places(params, item, segments)
        found = [await outputs.cached(context, item, kind=KIND, place=one.place) for one in clips]
        missing = [one for one, known in zip(clips, found, strict=True) if known is None]
        made: dict[Segment, Made] = {}
        if missing:
            with await opened(context, item) as source:
                survey = await surveyed(context, item, source, keyframes=True)
                work = _Work(
                    context=context,
                    ladder=self._ladder,
                    item=item,
                    source=source,
                    survey=survey,
                    clips=missing,
                )
                _check(params, work)
                made = await (_encoded(work) if params.exact else _copied(work))
        context.report.progress(100)
        return _outcome(item, clips, found, made)


def _given(params: ClipGenerateParams) -> list[Segment]:
    for number, one in enumerate(params.ranges):
        if one.end <= one.start:
            raise BadInputError(
                f"ranges[{number}]: ends at {one.end:g} s, not behind its start at {one.start:g} s"
            )
    given = [Segment(start_s=one.start, length_s=one.end - one.start) for one in params.ranges]
    return list(dict.fromkeys(given))[: params.count]


class _Part(BaseModel):
    """A part as a digest's item says it."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    start: float
    duration: float
    score: float = 0.0


class _Parts(BaseModel):
    """What a digest's item says of how it was made."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    parts: tuple[_Part, ...]
    sources: tuple[str, ...]


async def _of_digest(context: JobContext, item: Item, count: int) -> tuple[Item, list[Segment]]:
    """Return the source of a digest and the best of its parts, in order."""
    try:
        known = _Parts.model_validate_json(item.facts.extra_json or "{}")
        (source_id,) = known.sources
    except (ValidationError, ValueError):
        raise BadInputError(
            f"ranges: {item.facts.path} is no digest; name one by videoId, or say which parts to cut out"
        ) from None
    segments = [Segment(start_s=one.start, length_s=one.duration, score=one.score) for one in known.parts]
    best = sorted(segments, key=lambda one: -one.score)[:count]
    sources = await context.library.items([source_id])
    if not sources:
        raise BadInputError(f"videoId: the source of {item.facts.path} is not in the library any more")
    return sources[0], sorted(best, key=lambda one: one.start_s)


def _places(params: ClipGenerateParams, item: Item, segments: Sequence[Segment]) -> list[_Clip]:
    """Return where each clip is to lie."""
    wanted, clips = params.output_path, list[_Clip]()
    for number, one in enumerate(segments, 1):
        asked = wanted
        if wanted is not None and len(segments) > 1:
            asked = f"{wanted[: -len(_SUFFIX)]}-{number}{wanted[-len(_SUFFIX) :]}"
        wish: dict[str, JsonValue] = {
            "start": round(one.start_s, 3), "length": round(one.length_s, 3), "exact": params.exact,
        }  # fmt: skip
        place = Place(
            root=params.output_root,
            folder=FOLDER,
            recipe=recipe_of(KIND, wish),
            item_id=item.id,
            suffix=_SUFFIX,
            wanted=asked,
        )
        outputs.check_wanted(place)
        clips.append(_Clip(segment=one, place=place))
    return clips


def _check(params: ClipGenerateParams, work: _Work) -> None:
    end_s = pictures_end_s(work.survey)
    for one in work.clips:
        if one.segment.start_s >= end_s:
            places = [range_.start for range_ in params.ranges]
            number = places.index(one.segment.start_s) if one.segment.start_s in places else 0
            raise BadInputError(
                f"ranges[{number}]: there is nothing at {one.segment.start_s:g} s of "
                f"{work.item.facts.path}, which lasts {end_s:.1f} s"
            )


async def _copied(work: _Work) -> dict[Segment, Made]:
    """Copy what lies between the keyframes around each clip."""
    if not copies.can_lie_in_mp4(work.survey):
        work.context.report.log("Its streams cannot be copied into an MP4: they are encoded again.")
        return await _encoded(work)
    made: dict[Segment, Made] = {}
    version = await work.ladder.version()
    spans = [copies.span_of(work.survey, one.segment.start_s, one.segment.end_s) for one in work.clips]
    meter = Meter(context=work.context, total_s=sum(span.end_s - span.start_s for span in spans), until=99)
    for one, span in zip(work.clips, spans, strict=True):
        length_s = span.end_s - span.start_s
        copy = copies.Copy(
            item=work.item,
            place=one.place,
            length_s=length_s,
            audio=work.survey.audio is not None,
            bytes=_bytes(work, length_s),
            command=partial(copies.span_command, work.survey, span, work.source.fd),
            ffmpeg=version,
            further={"parts": said([Segment(start_s=span.start_s, length_s=length_s)])},
        )
        made[one.segment] = await copies.copied(work.context, copy, meter)
        meter.passed(length_s)
    return made


def _bytes(work: _Work, length_s: float) -> int:
    """Return what a part takes at most, about: twice its share of the file."""
    return round(work.source.size_bytes * min(1.0, 2 * length_s / max(work.survey.duration_s, length_s)))


async def _encoded(work: _Work) -> dict[Segment, Made]:
    """Encode each clip: exactly its frames."""
    video, context = streaming.pictures(work.survey), work.context
    rate = own_rate(video)
    plan = Plan(
        place=work.clips[0].place,
        kind=KIND,
        size=own_size(video, SHORT_SIDE_MAX),
        parts=[
            Part(
                item=work.item,
                title=instant(one.segment.start_s),
                take=partial(part_of, start_s=one.segment.start_s, length_s=one.segment.length_s, rate=rate),
            )
            for one in work.clips
        ],
        length_s=sum(one.segment.length_s for one in work.clips),
        segments=repr([one.place.recipe for one in work.clips]),
        survey=(work.item.id, work.survey),
    )
    cutting = await reel.begun(context, work.ladder, plan)
    await reel.fill(cutting)
    made: dict[Segment, Made] = {}
    for taken in cutting.taken:
        one = work.clips[taken.number]
        parts = said([Segment(start_s=taken.clip.start_s, length_s=taken.clip.duration_s)])
        made[one.segment] = await reel.joined(cutting, [taken], one.place, further={"parts": parts})
    await reel.remove_kept(cutting)
    return made


def _outcome(
    item: Item, clips: Sequence[_Clip], found: Sequence[Derivative | None], made: dict[Segment, Made]
) -> Outcome:
    shown: list[JsonValue] = []
    rows: list[DerivativeFacts] = []
    for one, known in zip(clips, found, strict=True):
        here: dict[str, JsonValue] = {
            "start": round(one.segment.start_s, 3),
            "duration": round(one.segment.length_s, 3),
        }
        if known is not None:
            here |= {"outputPath": known.facts.path, "root": known.facts.root, "cached": True}
        elif one.segment in made:
            clip = made[one.segment]
            result = outputs.result_of(clip)
            here |= {key: result[key] for key in _SHOWN}
            rows.append(
                outputs.derivative_of(
                    item, clip.row, kind=KIND, recipe=one.place.recipe, media_type="video/mp4"
                )
            )
        shown.append(here)
    return Outcome(
        result={"clips": shown, "videoId": item.id, "cached": not made},
        items=[one.row for one in made.values()],
        derivatives=rows,
    )


_SHOWN: Final = ("outputPath", "root", "cached", "durationSeconds", "width", "height", "sizeBytes", "encoder")
"""What a result says of each clip."""
