"""Has pictures made of what a scan finds, while it still scans."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from callsheet.catalog import DERIVATIVES_GENERATE
from callsheet.params import DerivativesGenerateParams
from callsheet.v1.job_pb2 import NewJob
from callsheet.worker.context import JobContext

BATCH: Final = 25
"""Items of one job, as long as that makes few enough jobs."""
BATCH_LIMIT: Final = 200
"""Items of one job at most."""
JOBS_WANTED: Final = 1_000
"""Jobs of one scan, as far as `BATCH_LIMIT` lets them be so few."""


def batch_size(items: int) -> int:
    """Return how many items one job takes where *items* may need pictures."""
    return min(BATCH_LIMIT, max(BATCH, -(-items // JOBS_WANTED)))


@dataclass(slots=True)
class PictureJobs:
    """Collects items and submits jobs for them, a batch at a time."""

    context: JobContext
    waiting: frozenset[str] = frozenset()
    """Items that unfinished jobs name: of an earlier attempt at this scan, or of another scan."""
    wanted: bool = True
    """Whether any pictures are to be made."""
    batch: int = BATCH
    jobs: int = 0
    """How many were submitted."""
    left_to_others: int = 0
    """Items that unfinished jobs take care of."""
    _collected: list[str] = field(default_factory=list[str])

    def want(self, item_id: str, *, changed: bool = False) -> None:
        """Note that an item needs pictures. A job for a *changed* one may have read its old row."""
        if not self.wanted:
            return
        if changed or item_id not in self.waiting:
            self._collected.append(item_id)
        else:
            self.left_to_others += 1

    async def submit(self, *, rest: bool = False) -> None:
        """Submit the batches that are full, with *rest* also the last, and wait until they are accepted."""
        end = len(self._collected) if rest else len(self._collected) // self.batch * self.batch
        ready, self._collected = self._collected[:end], self._collected[end:]
        jobs = [_job(ready[start : start + self.batch]) for start in range(0, end, self.batch)]
        if jobs:
            await self.context.queue.submit(jobs)
            self.jobs += len(jobs)


async def waiting_items(context: JobContext) -> frozenset[str]:
    """Return the items that unfinished jobs will make pictures of."""
    jobs = await context.queue.unfinished(DERIVATIVES_GENERATE.name)
    return frozenset(item_id for job in jobs for item_id in _item_ids(job.params_json))


def _job(item_ids: Sequence[str]) -> NewJob:
    params = json.dumps({"itemIds": list(item_ids)}, separators=(",", ":"))
    return NewJob(type=DERIVATIVES_GENERATE.name, params_json=params)


def _item_ids(params_json: str) -> Sequence[str]:
    return [str(one) for one in DerivativesGenerateParams.model_validate_json(params_json).item_ids]
