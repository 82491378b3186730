"""Media that kills worker after worker: its job ends, and its item is marked."""

import asyncio
import json
from pathlib import Path

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import ItemState
from tests.support.media import quadrants
from tests.support.patience import PATIENCE_S
from tests.support.plug_ins import ROOT
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.short_leases import item_at
from tests.support.worker_processes import WorkerProcess, worker_process

POISON = "3 workers in a row were lost while they ran this job; its media may be the cause"
NEW = ("new/a.png", "new/deadly.png", "new/z.png")
IN_HAND = "3 workers in a row were lost while a job had it in hand"


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

        both = json.dumps({"itemIds": [deadly.id, good.id]})
        (many,) = await jobs.submitted("test_deadly_many", params=both)
        await killed_and_started(worker, 3)
        (went_on,) = await jobs.reached([many], JobState.JOB_STATE_COMPLETED)
        named = await item_at(channel, ROOT, "deadly.png")

        (job_id,) = await jobs.submitted("test_deadly", params=json.dumps({"videoId": deadly.id}))
        await killed_and_started(worker, 3)
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_FAILED)
        marked, kept = [await item_at(channel, ROOT, name) for name in ("deadly.png", "good.png")]

        (tmp_path / ROOT / "new").mkdir()
        for name in NEW:
            quadrants(80, 60).save(tmp_path / ROOT / name)
        params = json.dumps({"root": ROOT, "path": "new"})
        (scan_id,) = await jobs.submitted("test_deadly_scan", params=params)
        await killed_and_started(worker, 3)
        (scan,) = await jobs.reached([scan_id], JobState.JOB_STATE_COMPLETED)
        scanned = [await item_at(channel, ROOT, name) for name in NEW]
    found = json.loads(scan.result_json)

    assert (found["found"], found["broken"], scan.attempt) == (3, 1, 4)
    assert [(one.facts.state, one.facts.reason) for one in scanned] == [
        (ItemState.ITEM_STATE_OK, ""),
        (ItemState.ITEM_STATE_BROKEN, IN_HAND),
        (ItemState.ITEM_STATE_OK, ""),
    ]
    assert (json.loads(went_on.result_json), went_on.attempt) == ({"read": 1}, 4)
    assert named.facts.state == ItemState.ITEM_STATE_BROKEN
    assert named.facts.reason == IN_HAND
    assert (job.error, job.attempt, job.retry_count) == (POISON, 3, 0)
    assert (marked.facts.state, marked.facts.reason) == (ItemState.ITEM_STATE_BROKEN, POISON)
    assert kept.facts.state == good.facts.state == ItemState.ITEM_STATE_OK
