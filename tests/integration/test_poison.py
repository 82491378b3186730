"""Media that kills worker after worker: its job ends, and its item is marked."""

import asyncio
import json
from pathlib import Path

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import ItemState
from tests.support.media import quadrants
from tests.support.plug_ins import ROOT
from tests.support.queue import PATIENCE_S, Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.short_leases import item_at
from tests.support.worker_processes import WorkerProcess, worker_process

POISON = "3 workers in a row were lost while they ran this job; its media may be the cause"


async def killed_and_started(worker: WorkerProcess, times: int) -> None:
    """Start the worker again whenever its media has killed it, so many times."""
    for _ in range(times):
        assert worker.process is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await worker.process.wait() == -9
        await worker.start()


async def test_media_that_three_workers_died_of_is_marked_and_nothing_else(
    fresh_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / ROOT).mkdir()
    for name in ("deadly.png", "good.png"):
        quadrants().save(tmp_path / ROOT / name)
    async with (
        real_scheduler(fresh_dsn, tmp_path, lease_ttl_s="2") as scheduler,
        open_channel(scheduler.address) as channel,
        worker_process(scheduler.address, tmp_path) as worker,
    ):
        jobs = Jobs(channel)
        await jobs.known("scan")
        await jobs.reached(
            await jobs.submitted("scan", params=json.dumps({"root": ROOT})), JobState.JOB_STATE_COMPLETED
        )
        deadly, good = [await item_at(channel, ROOT, name) for name in ("deadly.png", "good.png")]
        (harmless,) = await jobs.submitted("test_deadly", params=json.dumps({"videoId": good.id}))
        await jobs.reached([harmless], JobState.JOB_STATE_COMPLETED)

        (job_id,) = await jobs.submitted("test_deadly", params=json.dumps({"videoId": deadly.id}))
        await killed_and_started(worker, 3)
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_FAILED)
        marked, kept = [await item_at(channel, ROOT, name) for name in ("deadly.png", "good.png")]

    assert (job.error, job.attempt, job.retry_count) == (POISON, 3, 0)
    assert (marked.facts.state, marked.facts.reason) == (ItemState.ITEM_STATE_BROKEN, POISON)
    assert kept.facts.state == good.facts.state == ItemState.ITEM_STATE_OK
