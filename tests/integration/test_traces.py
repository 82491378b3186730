"""One trace leads from a REST request through gRPC, the scheduler and a worker to FFmpeg."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from callsheet_scheduler.domain.effects import NewRow
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.store.queue import insert_jobs
from callsheet_scheduler.store.records import load_live

from tests.support.collecting import collecting
from tests.support.command_up import running_up
from tests.support.engines import new_job
from tests.support.folders import open_folder
from tests.support.media import video
from tests.support.patience import PATIENCE_S

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SUBMIT = "callsheet.v1.JobService/SubmitJobs"
ATTEMPT = "attempt reencode_streaming"


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "media").mkdir()
        video(folder / "media" / "short.mp4", seconds=1, size="160x90")
        yield folder


async def until_final(rest: httpx.AsyncClient, job_id: str) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job = (await rest.get(f"/api/media/jobs/{job_id}")).json()
            if job["status"] in {"completed", "failed"}:
                return str(job["status"])
            await asyncio.sleep(0.1)


async def scanned(rest: httpx.AsyncClient) -> None:
    """Wait until the library has the video: jobs about what it has not fail."""
    async with asyncio.timeout(PATIENCE_S):
        while not (await rest.get("/api/media/items")).json()["data"]:  # noqa: ASYNC110 -- other processes
            await asyncio.sleep(0.1)


async def test_one_trace_leads_from_rest_to_the_ffmpeg_child(place: Path) -> None:
    async with (
        collecting() as collector,
        running_up(place / "data", "--media", str(place / "media"), environment=collector.environment) as up,
    ):
        address = await up.ready()
        headers = {"Authorization": f"Bearer {up.token()}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE_S) as rest:
            wish = {"type": "reencode_streaming", "params": {"inputPath": "short.mp4", "preset": "ultrafast"}}
            await scanned(rest)
            parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            answer = await rest.post("/api/media/jobs", json=wish, headers=parent)
            assert answer.status_code == 201, answer.text
            job_id = answer.json()["id"]
            assert await until_final(rest, job_id) == "completed", up.logs()
        await collector.until("ffmpeg", ATTEMPT, "wait for a lease", SUBMIT, "REST POST")

    spans = [span for span in collector.spans() if span.trace == TRACE]
    [request] = [span for span in spans if span.name == "REST POST"]
    [submit] = [span for span in spans if span.name == SUBMIT]
    [wait] = [span for span in spans if span.name == "wait for a lease"]
    [attempt] = [span for span in spans if span.name == ATTEMPT]
    ffmpeg = [span for span in spans if span.name == "ffmpeg"]
    assert (request.parent, request.service) == (CALLER, "callsheet-gateway")
    assert request.facts["http.route"] == "/api/media/jobs"
    assert (submit.parent, submit.service) == (request.id, "callsheet-scheduler")
    assert (wait.parent, wait.service, wait.facts["job.id"]) == (submit.id, "callsheet-scheduler", job_id)
    assert (attempt.parent, attempt.service) == (submit.id, "callsheet-gpu-worker")
    assert (attempt.facts["job.id"], attempt.facts["outcome"]) == (job_id, "completed")
    assert ffmpeg
    assert {span.parent for span in ffmpeg} == {attempt.id}
    assert all(attempt.begin_ns <= span.begin_ns < span.end_ns <= attempt.end_ns for span in ffmpeg)
    below = {span.id for span in spans}
    assert all(span.parent in below | {CALLER} for span in spans), json.dumps([span.name for span in spans])


async def test_the_next_leader_knows_the_trace_of_a_job(db_writer: asyncpg.Connection) -> None:
    engine = Engine(term=1, rules=Rules())
    context = f"00-{TRACE}-{CALLER}-01"
    jobs = [new_job(engine, trace=context), new_job(engine)]

    await insert_jobs(db_writer, [NewRow(job=job, params="{}") for job in jobs])

    assert {job.id: job.trace for job in await load_live(db_writer)} == {job.id: job.trace for job in jobs}
