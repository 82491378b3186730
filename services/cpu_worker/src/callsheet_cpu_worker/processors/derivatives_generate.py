"""Makes derivatives of several items; one that fails stops no other."""

from typing_extensions import override

from callsheet.catalog import DERIVATIVES_GENERATE
from callsheet.params import DerivativesGenerateParams
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from callsheet_cpu_worker.batch import make_all
from callsheet_cpu_worker.derived import wish_of


class DerivativesGenerate(Processor[DerivativesGenerateParams]):
    """Decodes every item once for all its pictures."""

    job_type = DERIVATIVES_GENERATE

    @override
    async def process(self, params: DerivativesGenerateParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            CapacityError: The disk is full.
            AttemptError: Every item failed for a reason that is not the item's.
        """
        item_ids = [str(one) for one in params.item_ids]
        return await make_all(context, item_ids, wish_of(params.kinds), force=params.force)
