"""Chooses videos and joins them, with a chapter for each: what all compilations have in common."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from callsheet.errors import BadInputError
from callsheet.media.compilation import Candidate, CompilationWish, choose, clip_of
from callsheet.reel_params import CompileRandomParams
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Place
from callsheet.worker.processor import Outcome
from callsheet_gpu_worker import reel
from callsheet_gpu_worker.reel_state import Part, Plan

KIND: Final = "compilation"
FOLDER: Final = "compilations"


async def compiled(
    context: JobContext,
    ladder: Ladder,
    params: CompileRandomParams,
    wish: CompilationWish,
    chosen: Sequence[Item],
) -> Outcome:
    """Join these videos as the wish says.

    Raises:
        BrokenMediaError: None of them can be used.
        CapacityError: No room on the disk or the card.
    """
    place = place_of(params, wish.recipe([one.facts.identity for one in chosen]), chosen[0])
    known = await reel.earlier(context, chosen[0], kind=KIND, place=place)
    if known is not None:
        return known
    made, published = await reel.made(context, ladder, plan_of(wish, place, chosen, wish.size))
    ids = [chosen[one.number].id for one in made.taken]
    return reel.outcome(made, published, {"seed": wish.seed, "videoIds": list(ids)})


def place_of(params: CompileRandomParams, recipe: str, first: Item) -> Place:
    """Return where a compilation is to lie that is made by *recipe* and belongs to its *first* item."""
    return Place(
        root=params.output_root,
        folder=FOLDER,
        recipe=recipe,
        item_id=first.id,
        suffix=".mp4",
        wanted=params.output_path,
    )


def plan_of(wish: CompilationWish, place: Place, chosen: Sequence[Item], size: tuple[int, int]) -> Plan:
    """Return the reel of these videos, each in a shape of *size*."""
    return Plan(
        place=place,
        kind=KIND,
        size=size,
        parts=[
            Part(item=item, title=item.facts.path.rpartition("/")[2], take=partial(clip_of, wish=wish))
            for item in chosen
        ],
        length_s=sum(min(item.facts.duration_s, wish.clip_s or item.facts.duration_s) for item in chosen),
    )


def wish_of(params: CompileRandomParams, context: JobContext) -> CompilationWish:
    """Return what a job's parameters ask for.

    Raises:
        BadInputError: No video could be so long.
    """
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


async def chosen_by(context: JobContext, params: CompileRandomParams, wish: CompilationWish) -> list[Item]:
    """Return the videos of the library that a wish chooses.

    Raises:
        BadInputError: None fits.
    """
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


async def named(context: JobContext, video_ids: Sequence[UUID]) -> list[Item]:
    """Return the items of these ids, in their order, also those that cannot be used.

    Raises:
        BadInputError: One of them is not there.
    """
    ids = [str(one) for one in video_ids]
    found = {item.id: item for item in await context.library.items(list(dict.fromkeys(ids)))}
    for number, one in enumerate(ids):
        if one not in found:
            raise BadInputError(
                f"videoIds[{number}]: there is no item {one}; scan its folder, or take ids from the library"
            )
    return [found[one] for one in ids]
