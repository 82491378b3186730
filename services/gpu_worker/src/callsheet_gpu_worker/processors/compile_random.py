"""Joins videos that chance chooses into one, with a chapter for each."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from typing_extensions import override

from callsheet.catalog import COMPILE_RANDOM
from callsheet.errors import BadInputError
from callsheet.media.compilation import Candidate, CompilationWish, choose, clip_of
from callsheet.params import CompileRandomParams
from callsheet.v1.library_service_pb2 import Item, ItemState, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.encode.outputs import Place
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker import reel
from callsheet_gpu_worker.reel import Part, Plan

KIND: Final = "compilation"
FOLDER: Final = "compilations"


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
        return await compiled(context, self._ladder, params, wish, await _chosen(context, params, wish))


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
    place = Place(
        root=params.output_root,
        folder=FOLDER,
        recipe=wish.recipe([one.facts.identity for one in chosen]),
        item_id=chosen[0].id,
        suffix=".mp4",
        wanted=params.output_path,
    )
    known = await reel.earlier(context, chosen[0], kind=KIND, place=place)
    if known is not None:
        return known
    plan = Plan(
        place=place,
        kind=KIND,
        size=wish.size,
        parts=[
            Part(item=item, title=item.facts.path.rpartition("/")[2], take=partial(clip_of, wish=wish))
            for item in chosen
        ],
        length_s=sum(min(item.facts.duration_s, wish.clip_s or item.facts.duration_s) for item in chosen),
    )
    made, published = await reel.made(context, ladder, plan)
    ids = [chosen[one.number].id for one in made.taken]
    return reel.outcome(made, published, {"seed": wish.seed, "videoIds": list(ids)})


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
