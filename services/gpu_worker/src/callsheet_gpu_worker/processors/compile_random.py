"""Joins videos that chance chooses into one, with a chapter for each."""

from typing_extensions import override

from callsheet.catalog import COMPILE_RANDOM
from callsheet.reel_params import CompileRandomParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker.compilations import chosen_by, compiled, wish_of


class CompileRandom(Processor[CompileRandomParams]):
    """Publishes an MP4 that becomes an item of the library; a video that cannot be used is left out."""

    job_type = COMPILE_RANDOM

    def __init__(self, ladder: Ladder | None = None) -> None:
        self._ladder = ladder or Ladder()

    @override
    async def process(self, params: CompileRandomParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: No video fits, or none of those chosen can be used.
            CapacityError: No room on the disk or the card.
        """
        wish = wish_of(params, context)
        return await compiled(context, self._ladder, params, wish, await chosen_by(context, params, wish))
