"""A scan through the death of its worker: each picture is asked for once."""

import json
from pathlib import Path

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import Job, JobState
from tests.support.media import quadrants
from tests.support.queue import Jobs
from tests.support.real_scheduler import real_scheduler
from tests.support.worker_processes import WorkerProcess

FILES = 3_000


def library(tmp_path: Path) -> dict[str, str]:
    """Make a folder of pictures, and return the settings of a worker that does one job at a time there."""
    for name in ("media", "derivatives"):
        (tmp_path / name).mkdir()
    quadrants(32, 24).save(tmp_path / "media" / "0.png")
    content = (tmp_path / "media" / "0.png").read_bytes()
    for number in range(1, FILES):
        (tmp_path / "media" / f"{number}.png").write_bytes(content)
    roots = {
        "library": {"path": str(tmp_path / "media")},
        "derivatives": {"path": str(tmp_path / "derivatives"), "writable": True},
    }
    return {"CALLSHEET_ROOTS": json.dumps(roots), "CALLSHEET_SLOTS": "1", "CALLSHEET_CHILDREN": "2"}


def item_ids(jobs: list[Job]) -> list[str]:
    return [one for job in jobs for one in json.loads(job.params_json)["itemIds"]]


async def test_scan_of_a_killed_worker_goes_on_and_asks_for_each_picture_once(
    fresh_dsn: str, tmp_path: Path
) -> None:
    settings = library(tmp_path)
    async with (
        real_scheduler(fresh_dsn, tmp_path) as scheduler,
        open_channel(scheduler.address) as channel,
    ):
        jobs = Jobs(channel)
        worker = WorkerProcess(scheduler.address, tmp_path, "atlas", settings)
        await worker.start()
        await jobs.known("scan")
        (scan,) = await jobs.submitted("scan")
        before = item_ids(await jobs.first_children(scan))
        await worker.kill()
        assert len(before) < FILES

        await worker.start()
        (done,) = await jobs.reached([scan], JobState.JOB_STATE_COMPLETED)
        await worker.kill()
        asked = item_ids(await jobs.children(scan))

    assert done.attempt == 2
    assert json.loads(done.result_json)["found"] == FILES
    assert len(asked) == len(set(asked)) == FILES
