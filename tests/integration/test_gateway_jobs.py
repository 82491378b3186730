"""/api/media/jobs over a real scheduler: the documented requests and answers, and what is refused."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from callsheet_gateway.access.auth import ROLES
from callsheet_gateway.excerpt import SHOWN_MAX
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from pydantic import TypeAdapter

from callsheet.client import Patience
from callsheet.ids import new_job_id
from callsheet.service.settings import RootSettings
from tests.support.fresh_database import new_database
from tests.support.gateways import rest_over
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.workers import RunningWorker, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, object]
OBJECT: TypeAdapter[Json] = TypeAdapter(Json)
OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])
JSON = {"Content-Type": "application/json"}


class Stack(NamedTuple):
    """What these tests share: each looks at its own jobs only."""

    scheduler: RealScheduler
    rest: httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stack]:
    dsn = await new_database(database_server)
    async with real_scheduler(dsn, tmp_path_factory.mktemp("scheduler")) as scheduler:
        patience = Patience(total_s=5.0, try_s=30.0)
        async with rest_over(scheduler.address, GatewaySettings(), patience=patience) as rest:
            yield Stack(scheduler, rest)


@pytest.fixture
def rest(stack: Stack) -> httpx.AsyncClient:
    return stack.rest


@pytest_asyncio.fixture(loop_scope="module")
async def worker(stack: Stack, tmp_path: Path) -> AsyncGenerator[RunningWorker]:
    async with running_worker(stack.scheduler.port, tmp_path) as worker:
        await known(stack.rest, "noop")
        yield worker


async def created(rest: httpx.AsyncClient, **changes: object) -> Json:
    answer = await rest.post("/api/media/jobs", json={"type": "scan", "params": {"path": "a"}} | changes)
    assert answer.status_code == 201, answer.text
    return OBJECT.validate_python(answer.json())


async def shown(rest: httpx.AsyncClient, job_id: object) -> Json:
    answer = await rest.get(f"/api/media/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return OBJECT.validate_python(answer.json())


async def once(rest: httpx.AsyncClient, job_id: object, status: str) -> Json:
    """Return the job when it has this status; the test's time limit ends a vain wait."""
    while (job := await shown(rest, job_id))["status"] != status:  # noqa: ASYNC110 -- nothing sets an event
        await asyncio.sleep(0.02)
    return job


async def known(rest: httpx.AsyncClient, job_type: str) -> None:
    """Wait until a worker has said that it has this type."""
    while (await rest.post("/api/media/jobs", json={"type": job_type})).status_code != 201:  # noqa: ASYNC110 -- as above
        await asyncio.sleep(0.02)


async def listed(rest: httpx.AsyncClient, **asked: str | int | list[str]) -> tuple[list[Json], Json]:
    answer = await rest.get("/api/media/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    page = OBJECT.validate_python(answer.json())
    assert set(page) == {"data", "pagination"}
    return OBJECTS.validate_python(page["data"]), OBJECT.validate_python(page["pagination"])


def first_error(answer: httpx.Response) -> tuple[int, str]:
    problem = OBJECT.validate_python(answer.json())
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["error"] == problem["detail"]
    return answer.status_code, str(OBJECTS.validate_python(problem["errors"])[0]["field"])


async def test_created_job_answers_as_documented(rest: httpx.AsyncClient) -> None:
    job = await created(rest, priority=5, resourceCategory="cpu", vramRequired=0)
    assert set(job) == {"id", "type", "status", "progress", "createdAt"}
    assert (job["type"], job["status"], job["progress"]) == ("scan", "pending", 0)
    assert str(job["createdAt"]).endswith("Z")


async def test_job_in_detail_has_everything_of_the_document_and_why_it_waits(rest: httpx.AsyncClient) -> None:
    job = await created(rest, priority=3, maxRetries=2, runAt="2199-02-13T10:25:00+01:00")
    details = await shown(rest, job["id"])
    assert (
        details
        | {
            "id": job["id"],
            "type": "scan",
            "status": "pending",
            "progress": 0,
            "log": "",
            "params": {"path": "a"},
            "resourceCategory": "cpu",
            "vramRequired": 0,
            "priority": 3,
            "retryCount": 0,
            "maxRetries": 2,
            "createdAt": job["createdAt"],
            "startedAt": None,
            "completedAt": None,
            "runAt": "2199-02-13T09:25:00.000Z",
            "attempts": [],
        }
        == details
    )
    assert str(details["waitingReason"]).startswith("Scheduled for ")


async def test_job_that_no_worker_handles_says_so(rest: httpx.AsyncClient) -> None:
    details = await shown(rest, (await created(rest))["id"])
    assert details["waitingReason"] == "No connected worker handles scan"
    assert isinstance(details["queuePosition"], int)


async def test_job_types_tell_what_their_jobs_turned_out_to_need(
    rest: httpx.AsyncClient, worker: RunningWorker
) -> None:
    await known(rest, "noop")
    await once(rest, (await created(rest, type="noop", params={}))["id"], "completed")

    answer = OBJECT.validate_python((await rest.get("/api/media/job-types")).json())

    types = {one["type"]: one for one in OBJECTS.validate_python(answer["data"])}
    (learned,) = OBJECTS.validate_python(types["noop"]["learned"])
    assert int(str(learned["runs"])) >= 1
    assert (learned["sizeClass"], learned["vramRequired"], learned["vramRuns"]) == (None, None, 0)
    assert types["scan"]["learned"] == []
    assert (types["scan"]["runLimit"], types["scan"]["applyLearned"]) == (21_600, False)


async def test_pages_follow_one_another_without_gap_by_number_and_by_cursor(rest: httpx.AsyncClient) -> None:
    ids = [(await created(rest, params={"path": "pages"}))["id"] for _ in range(5)]
    first, where = await listed(rest, q="pages", limit=2)
    assert [job["id"] for job in first] == [ids[4], ids[3]]
    assert where | {"nextCursor": None} == {
        "page": 1,
        "limit": 2,
        "total": 5,
        "totalPages": 3,
        "totalIsExact": True,
        "nextCursor": None,
    }
    second, _ = await listed(rest, q="pages", limit=2, page=2)
    assert [job["id"] for job in second] == [ids[2], ids[1]]
    by_cursor, _ = await listed(rest, q="pages", limit=2, cursor=str(where["nextCursor"]))
    assert by_cursor == second
    last, end = await listed(rest, q="pages", limit=2, page=3)
    assert [job["id"] for job in last] == [ids[0]]
    assert end["nextCursor"] is None


async def test_filters_must_all_pass_and_a_repeated_one_passes_by_any_value(rest: httpx.AsyncClient) -> None:
    scan = (await created(rest, params={"path": "filters"}))["id"]
    public = (await created(rest, type="public_scan", params={"path": "filters"}))["id"]
    await rest.post(f"/api/media/jobs/{scan}/cancel")

    async def ids(**asked: str | list[str]) -> list[object]:
        return [job["id"] for job in (await listed(rest, q="filters", **asked))[0]]

    assert await ids() == [public, scan]
    assert await ids(status="pending") == [public]
    assert await ids(status=["cancelled", "failed"]) == [scan]
    assert await ids(status=["cancelled", "pending"], type="public_scan") == [public]
    assert await ids(type=["scan", "validate"]) == [scan]
    assert await ids(resourceCategory="cpu") == [public, scan]
    assert await ids(resourceCategory="gpu_ai") == []


async def test_cancelled_job_can_be_retried_and_its_log_tells_all(rest: httpx.AsyncClient) -> None:
    job_id = (await created(rest))["id"]
    cancelled = await rest.post(f"/api/media/jobs/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["log"] == "--- JOB CANCELLED BY ADMIN ---\n"
    again = await rest.post(f"/api/media/jobs/{job_id}/cancel")
    assert again.status_code == 409
    assert "the job is cancelled already" in again.json()["detail"]
    retried = await rest.post(f"/api/media/jobs/{job_id}/retry")
    assert retried.status_code == 200
    assert retried.json() == {
        "id": job_id,
        "status": "pending",
        "retryCount": 1,
        "retryAfter": None,
        "log": "--- JOB CANCELLED BY ADMIN ---\n--- RETRY ATTEMPT 1 ---\n",
    }
    refused = await rest.post(f"/api/media/jobs/{job_id}/retry")
    assert refused.status_code == 409
    assert "the job is pending" in refused.json()["detail"]


async def test_running_job_is_cancelled_when_its_worker_confirms(
    rest: httpx.AsyncClient, worker: RunningWorker
) -> None:
    job_id = (await created(rest, type="patient", params={}))["id"]
    running = await once(rest, job_id, "running")
    assert running["startedAt"] is not None
    [present] = OBJECTS.validate_python(running["attempts"])
    assert (present["startedAt"], present["endedAt"]) == (running["startedAt"], None)
    asked = await rest.post(f"/api/media/jobs/{job_id}/cancel")
    assert (asked.status_code, asked.json()["status"]) in {(202, "running"), (200, "cancelled")}
    assert asked.json()["cancelRequestedAt"] is not None
    job = await once(rest, job_id, "cancelled")
    assert worker.patient.cancelled == 1
    [attempt] = OBJECTS.validate_python(job["attempts"])
    assert (attempt["number"], attempt["outcome"]) == (1, "cancelled")
    assert attempt["worker"] == job["worker"]


@pytest.mark.usefixtures("worker")
async def test_log_is_whole_as_text_and_head_and_tail_in_the_details(rest: httpx.AsyncClient) -> None:
    job_id = (await created(rest, type="count", params={"countTo": 1000}))["id"]
    details = await once(rest, job_id, "completed")
    while "number 1000" not in str(details["log"]):  # the log is committed apart from the completion
        details = await shown(rest, job_id)
    assert details["progress"] == 100
    assert details["result"] == {"counted": 1000}
    whole = await rest.get(f"/api/media/jobs/{job_id}/log")
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert [line for line in whole.text.splitlines() if "number 500" in line]
    assert len(whole.text) > SHOWN_MAX
    log = str(details["log"])
    assert len(log) <= SHOWN_MAX + 100
    assert whole.text.startswith(log.partition("--- ")[0])
    assert "number 500" not in log
    assert f"CHARACTERS LEFT OUT, ALL OF IT AT /api/media/jobs/{job_id}/log" in log
    short = await rest.post(f"/api/media/jobs/{job_id}/retry")
    assert short.status_code == 409
    assert "completed" in short.json()["detail"]


async def test_hours_count_what_came_and_what_ended_also_of_jobs_that_live(rest: httpx.AsyncClient) -> None:
    async def present() -> dict[str, int]:
        hours = OBJECTS.validate_python((await rest.get("/api/media/jobs/hours?hours=2")).json()["data"])
        assert len(hours) == 2  # of which the first may end while this test runs
        return {name: sum(int(str(hour[name])) for hour in hours) for name in ("created", "cancelled")}

    before = await present()
    await created(rest)
    await rest.post(f"/api/media/jobs/{(await created(rest))['id']}/cancel")
    after = await present()
    assert {name: after[name] - before[name] for name in after} == {"created": 2, "cancelled": 1}
    assert (await rest.get("/api/media/jobs/hours", params={"hours": 169})).status_code == 422


async def test_statistics_have_the_documented_keys_and_count_every_job(rest: httpx.AsyncClient) -> None:
    before = OBJECT.validate_python((await rest.get("/api/media/jobs/stats")).json())
    await created(rest)
    after = OBJECT.validate_python((await rest.get("/api/media/jobs/stats")).json())
    counts = {"pending", "queued", "running", "completed", "failed", "paused"}
    documented = counts | {"totalVramUsed", "totalVramAvailable", "averageProcessingTime", "jobsByType"}
    assert documented | {"cancelled", "perCategory", "perGpu", "throughput"} == set(after)
    assert after["pending"] == int(str(before["pending"])) + 1
    assert (after["totalVramUsed"], after["totalVramAvailable"]) == (0, 0)
    by_type = OBJECT.validate_python(after["jobsByType"])
    assert int(str(by_type["scan"])) >= 1
    by_category = OBJECT.validate_python(after["perCategory"])
    assert OBJECT.validate_python(by_category["cpu"])["pending"] == after["pending"]


async def test_repeated_request_with_an_id_is_the_same_job(rest: httpx.AsyncClient) -> None:
    body = {"type": "scan", "params": {"path": "same"}, "id": new_job_id()}
    first = await rest.post("/api/media/jobs", json=body)
    again = await rest.post("/api/media/jobs", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"] == body["id"]
    assert first.json()["createdAt"] == again.json()["createdAt"]
    other = await rest.post("/api/media/jobs", json=body | {"priority": 1})
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "nope"}, "type"),
        ({"type": "scan", "params": {"root": 3}}, "params.root"),
        ({"type": "scan", "params": {"unknown": 3}}, "params.unknown"),
        ({"type": "thumbnail_generate", "params": {}}, "params.videoId"),
        ({"type": "scan", "params": []}, "params"),
        ({"type": "scan", "params": {"path": "a\x00"}}, "params"),
        ({"type": "scan", "priority": 11}, "priority"),
        ({"type": "scan", "priority": 0}, "priority"),
        ({"type": "scan", "resourceCategory": "gpu_ai"}, "resourceCategory"),
        ({"type": "scan", "resourceCategory": "tpu"}, "resourceCategory"),
        ({"type": "scan", "maxRetries": 21}, "maxRetries"),
        ({"type": "scan", "runAt": "tomorrow"}, "runAt"),
        ({"type": "scan", "id": "550e8400-e29b-41d4-a716-446655440000"}, "id"),
        ({"type": "scan", "surplus": 1}, "surplus"),
        ({}, "type"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
async def test_wrong_job_is_refused_and_the_field_is_named(
    rest: httpx.AsyncClient, body: Json, field: str
) -> None:
    assert first_error(await rest.post("/api/media/jobs", json=body)) == (422, field)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"page": "0"}, "page"),
        ({"page": "502", "limit": "20"}, "page"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "done"}, "status[0]"),
        ({"type": "Re-encode"}, "type[0]"),
        ({"resourceCategory": "tpu"}, "resourceCategory[0]"),
        ({"cursor": "!"}, "cursor"),
        ({"q": "a\x00"}, "q"),
        ({"q": "a" * 201}, "q"),
        ({"sortBy": "id"}, "sortBy"),
    ],
    ids=str,
)
async def test_wrong_filter_is_refused_and_named(
    rest: httpx.AsyncClient, asked: dict[str, str], field: str
) -> None:
    assert first_error(await rest.get("/api/media/jobs", params=asked)) == (422, field)


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", "(", "ü", "\x01", "\ud7ff", " " * 200])
async def test_any_text_can_be_searched_for(rest: httpx.AsyncClient, q: str) -> None:
    assert (await rest.get("/api/media/jobs", params={"q": q})).status_code == 200


async def test_what_is_no_json_object_is_refused(rest: httpx.AsyncClient) -> None:
    bodies = {b"{": 400, b"\xff\xfe": 400, b"[" * 100_000: 400, b"": 422, b"[]": 422, b'"scan"': 422}
    for body, status in bodies.items():
        answer = await rest.post("/api/media/jobs", content=body, headers=JSON)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    large = await rest.post("/api/media/jobs", content=b" " * 2_000_000, headers=JSON)
    assert large.status_code == 413
    untyped = await rest.post("/api/media/jobs", content=b'{"type": "scan"}')
    assert untyped.status_code == 415
    assert "Content-Type: application/json" in untyped.json()["detail"]


@pytest.mark.parametrize(
    "job_id", ["01a1f700-0000-7000-8000-000000000001", "x", "%00", "stats%2f", "1" * 500]
)
async def test_unknown_job_is_not_found_whatever_is_asked_of_it(rest: httpx.AsyncClient, job_id: str) -> None:
    actions = [("POST", f"/{action}") for action in ("retry", "cancel", "pause", "resume")]
    for method, suffix in (("GET", ""), ("GET", "/log"), ("PATCH", ""), *actions):
        body = {"priority": 1} if method == "PATCH" else None
        answer = await rest.request(method, f"/api/media/jobs/{job_id}{suffix}", json=body)
        assert answer.status_code == 404, (method, suffix)
        assert answer.json()["status"] == 404


async def test_readiness_and_metrics_tell_of_the_scheduler_and_the_requests(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/healthz")).json() == {"status": "ok"}
    assert (await rest.get("/readyz")).json() == {"status": "ready"}
    metrics = (await rest.get("/metrics")).text
    assert 'callsheet_gateway_requests_total{method="GET",route="/readyz",status="200"}' in metrics
    routes = set(re.findall(r'route="([^"]+)"', metrics))
    assert routes - {path for _, path in ROLES} - {"unmatched"} == set()


async def test_wait_for_a_miss_has_an_end_and_the_job_goes_on(stack: Stack, tmp_path: Path) -> None:
    settings = GatewaySettings(roots={"library": RootSettings(path=tmp_path)}, miss_wait_s=0.3, misses_max=1)
    async with rest_over(stack.scheduler.address, settings, patience=Patience()) as rest:
        waited = await rest.get("/api/media/metadata", params={"file_path": "slow.jpg"})
        assert (waited.status_code, waited.headers["retry-after"]) == (503, "2")
        assert "still being made after 0.3 s" in waited.json()["detail"]
        full = await rest.get("/api/media/metadata", params={"file_path": "other.jpg"})
        assert (full.status_code, full.headers["retry-after"]) == (429, "5")
        [job], _ = await listed(rest, q="slow.jpg")
        assert (job["status"], job["priority"], job["interactive"]) == ("pending", 1, True)
        assert (await rest.post(f"/api/media/jobs/{job['id']}/cancel")).status_code == 200
