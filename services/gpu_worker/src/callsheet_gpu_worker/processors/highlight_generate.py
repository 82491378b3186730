"""Joins the best moments of a video."""

from functools import partial
from typing import Final

from typing_extensions import override

from callsheet.catalog import HIGHLIGHT_GENERATE
from callsheet.media import moments
from callsheet.media.recipes import recipe_of
from callsheet.reel_params import HighlightGenerateParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.ladder import Ladder
from callsheet.worker.processor import Outcome, Processor
from callsheet_gpu_worker.excerpts import Wish, excerpt

KIND: Final = "highlights"
COUNT_MAX: Final = 50
"""Moments of one reel."""


class HighlightGenerate(Processor[HighlightGenerateParams]):
    """Publishes an MP4 that becomes an item of the library and says which moments it is made of."""

    job_type = HIGHLIGHT_GENERATE

    def __init__(self) -> None:
        self._ladder = Ladder()

    @override
    async def process(self, params: HighlightGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt; raises what `excerpt` raises."""
        length_s, spacing_s, count = params.clip_length, params.spacing, params.count
        if params.target_length is not None:
            count = max(1, min(COUNT_MAX, int(params.target_length / length_s)))
            length_s = min(length_s, params.target_length)
        wish = Wish(
            kind=KIND,
            recipe=recipe_of(KIND, {"count": count, "length": length_s, "spacing": spacing_s}),
            whole_s=length_s,
            choose=partial(moments.highlights, most=count, length_s=length_s, spacing_s=spacing_s),
        )
        return await excerpt(context, self._ladder, params, wish)
