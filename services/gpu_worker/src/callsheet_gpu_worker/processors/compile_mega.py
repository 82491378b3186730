"""Joins many videos into one, given ones or chosen ones, with a chapter for each."""

from typing_extensions import override

from callsheet.catalog import COMPILE_MEGA
from callsheet.reel_params import CompileMegaParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker.compilations import chosen_by, compiled, named, wish_of


class CompileMega(Processor[CompileMegaParams]):
    """Publishes an MP4 that becomes an item of the library; a video that cannot be used is left out."""

    job_type = COMPILE_MEGA

    def __init__(self, ladder: Ladder | None = None) -> None:
        self._ladder = ladder or Ladder()

    @override
    async def process(self, params: CompileMegaParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: An item is not there, no video fits, or none can be used.
            CapacityError: No room on the disk or the card.
        """
        wish = wish_of(params, context)
        if params.video_ids:
            chosen = await named(context, params.video_ids)
        else:
            chosen = await chosen_by(context, params, wish)
            if params.order == "path":
                chosen = sorted(chosen, key=lambda item: item.facts.path)
        return await compiled(context, self._ladder, params, wish, chosen)
