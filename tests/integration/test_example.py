"""The example package, installed into an environment of its own: its tests, and its jobs done by a worker."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import GetItemRequest
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from tests.support.media import video
from tests.support.queue import CALL_DEADLINE_S, Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.sites import environment_with
from tests.support.worker_processes import WorkerProcess

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples/contact_sheet"


def ran(*words: str) -> str:
    """Run a command to its end, and return what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=110, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that the example was installed into."""
    made = environment_with(tmp_path_factory.mktemp("example") / "venv")
    uv = str(REPOSITORY / ".venv/bin/uv")
    options = ("--offline", "--no-index", "--no-deps", "--no-build-isolation", "--quiet")
    ran(uv, "pip", "install", "--python", str(made), *options, str(EXAMPLE))
    return made


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler:
        yield scheduler


def test_its_own_tests_pass(python: Path, tmp_path: Path) -> None:
    said = ran(
        str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(EXAMPLE / "tests")
    )

    assert "3 passed" in said


async def test_its_job_type_is_offered_and_done_by_a_worker(
    scheduler: RealScheduler, python: Path, tmp_path: Path
) -> None:
    for name in ("library", "outputs"):
        (tmp_path / name).mkdir()
    await asyncio.to_thread(video, tmp_path / "library/film.mp4")
    roots = {
        "library": {"path": str(tmp_path / "library")},
        "outputs": {"path": str(tmp_path / "outputs"), "writable": True},
    }
    settings = {"CALLSHEET_ROOTS": json.dumps(roots)}
    worker = WorkerProcess(scheduler.address, tmp_path, "atlas", settings, python=str(python))
    async with open_channel(scheduler.address) as channel:
        jobs = Jobs(channel)
        await worker.start()
        try:
            await jobs.known("contact_sheet")
            scan = await jobs.submitted("scan", params=json.dumps({"pictures": False}))
            await jobs.reached(scan, JobState.JOB_STATE_COMPLETED)
            request = GetItemRequest(root="library", path="film.mp4")
            item = (await LibraryServiceStub(channel).GetItem(request, timeout=CALL_DEADLINE_S)).item
            params = {"videoId": item.id, "columns": 3, "rows": 2, "width": 480, "outputPath": "sheet.jpg"}
            ids = await jobs.submitted("contact_sheet", params=json.dumps(params))
            (done,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
            await jobs.logged(done.id, "A sheet of 480x180 pixels was drawn.")
            await worker.left()
        finally:
            await worker.kill()

    with Image.open(tmp_path / "outputs/sheet.jpg") as sheet:
        assert (sheet.format, sheet.size) == ("JPEG", (480, 180))
    assert json.loads(done.result_json)["outputPath"] == "sheet.jpg"
