"""Tells a video in short: the best part of each of its stretches, and its highlights."""

from functools import partial
from typing import Final

from typing_extensions import override

from callsheet.catalog import DIGEST_GENERATE
from callsheet.media import moments
from callsheet.media.recipes import recipe_of
from callsheet.reel_params import DigestGenerateParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker.excerpts import Wish, excerpt

KIND: Final = "digest"


class DigestGenerate(Processor[DigestGenerateParams]):
    """Publishes an MP4 that becomes an item of the library and says which parts it is made of."""

    job_type = DIGEST_GENERATE

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: DigestGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt; raises what `excerpt` raises."""
        target_s, best = params.target_length, params.include_highlights
        wish = Wish(
            kind=KIND,
            recipe=recipe_of(KIND, {"target": target_s, "highlights": best}),
            whole_s=target_s,
            choose=partial(moments.digest, target_s=target_s, highlights=best),
        )
        return await excerpt(context, self._ladder, params, wish)
