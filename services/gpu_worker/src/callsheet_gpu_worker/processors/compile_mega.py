"""Joins many videos into one, given ones or chosen ones, with a chapter for each."""

from collections.abc import Sequence

from typing_extensions import override

from callsheet.catalog import COMPILE_MEGA
from callsheet.errors import BadInputError
from callsheet.params import CompileMegaParams
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker.compilations import chosen_by, compiled, wish_of


class CompileMega(Processor[CompileMegaParams]):
    """Publishes an MP4 that becomes an item of the library; a video that cannot be used is left out."""

    job_type = COMPILE_MEGA

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: CompileMegaParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: An item is not there, no video fits, or none can be used.
            CapacityError: No room on the disk or the card.
        """
        wish = wish_of(params, context)
        if params.video_ids:
            chosen: Sequence[Item] = await _given(params, context)
        else:
            chosen = await chosen_by(context, params, wish)
            if params.order == "path":
                chosen = sorted(chosen, key=lambda item: item.facts.path)
        return await compiled(context, self._ladder, params, wish, chosen)


async def _given(params: CompileMegaParams, context: JobContext) -> list[Item]:
    ids = [str(one) for one in params.video_ids]
    found = {item.id: item for item in await context.library.items(list(dict.fromkeys(ids)))}
    missing = [one for one in ids if one not in found]
    if missing:
        raise BadInputError(
            f"videoIds: there is no item {missing[0]}; scan its folder, or take ids from the library"
        )
    return [found[one] for one in ids]
