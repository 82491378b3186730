"""A SUBMITTER sees and steers its own jobs, and learns nothing of others."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from pydantic import TypeAdapter

from callsheet.ids import new_job_id
from tests.support.access import OBJECT, Json, bearer, made
from tests.support.fresh_database import new_database
from tests.support.gateways import rest_over
from tests.support.real_scheduler import real_scheduler

pytestmark = pytest.mark.asyncio(loop_scope="module")

OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    dsn = await new_database(database_server)
    async with (
        real_scheduler(dsn, tmp_path_factory.mktemp("submitters")) as scheduler,
        rest_over(scheduler.address, GatewaySettings()) as rest,
    ):
        yield rest


async def submitted(rest: httpx.AsyncClient, key: Json) -> Json:
    body = {"type": "scan", "params": {"path": "a"}}
    answer = await rest.post("/api/media/jobs", json=body, headers=bearer(key["key"]))
    assert answer.status_code == 201, answer.text
    return OBJECT.validate_python(answer.json())


async def listed(rest: httpx.AsyncClient, key: Json | None = None, **asked: str) -> set[object]:
    headers = {} if key is None else bearer(key["key"])
    answer = await rest.get("/api/media/jobs", params=asked, headers=headers)
    page = OBJECT.validate_python(answer.json())
    jobs = OBJECTS.validate_python(page["data"])
    assert OBJECT.validate_python(page["pagination"])["total"] == len(jobs)
    return {job["id"] for job in jobs}


async def test_submitter_sees_and_steers_its_own_jobs_and_no_others(rest: httpx.AsyncClient) -> None:
    one, other = await made(rest, "SUBMITTER", "one"), await made(rest, "SUBMITTER", "other")
    mine, theirs = (await submitted(rest, one))["id"], (await submitted(rest, other))["id"]
    assert await listed(rest, one) == {mine}
    assert await listed(rest, one, submittedBy="key:other") == {mine}
    assert await listed(rest, submittedBy="key:other") == {theirs}
    absent = new_job_id()
    for job, status in ((mine, 200), (theirs, 404), (absent, 404)):
        for method, path in (
            ("GET", ""),
            ("GET", "/log"),
            ("GET", "/children"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("POST", "/pause"),
            ("POST", "/resume"),
        ):
            answer = await rest.request(method, f"/api/media/jobs/{job}{path}", headers=bearer(one["key"]))
            assert answer.status_code == status, (method, path, answer.text)
            if status == 404:
                assert answer.json()["detail"] == f"there is no job {job}"
    assert (await rest.get(f"/api/media/jobs/{theirs}")).json()["submittedBy"] == "key:other"
    assert (await rest.get(f"/api/media/jobs/{theirs}")).json()["status"] == "pending"


async def test_submitter_sees_and_cancels_its_own_tasks_and_no_others(rest: httpx.AsyncClient) -> None:
    one, other = await made(rest, "SUBMITTER", "tasks-1"), await made(rest, "SUBMITTER", "tasks-2")
    mine, theirs = (await submitted(rest, one))["id"], (await submitted(rest, other))["id"]
    tasks, headers = "/api/async/async-tasks", bearer(one["key"])
    seen = (await rest.get(tasks, headers=headers)).json()
    assert ([task["task_id"] for task in seen["tasks"]], seen["total"]) == ([mine], 1)
    for job, status in ((mine, 200), (theirs, 404)):
        for method, path in (("GET", f"{tasks}/{job}"), ("POST", f"{tasks}/{job}/cancel")):
            assert (await rest.request(method, path, headers=headers)).status_code == status
    assert (await rest.get(f"{tasks}/{theirs}")).json()["status"] == "pending"


async def test_submitter_stays_the_submitter_in_history_and_after_a_retry(rest: httpx.AsyncClient) -> None:
    key = await made(rest, "SUBMITTER", "keeper")
    job = (await submitted(rest, key))["id"]
    for action in ("cancel", "retry", "cancel"):
        await rest.post(f"/api/media/jobs/{job}/{action}")
        shown_now = (await rest.get(f"/api/media/jobs/{job}", headers=bearer(key["key"]))).json()
        assert shown_now["submittedBy"] == "key:keeper"
        assert await listed(rest, key) == {job}
    assert await listed(rest, key, status="cancelled") == {job}


async def test_job_of_another_is_answered_as_one_that_is_not_when_it_is_needed(
    rest: httpx.AsyncClient,
) -> None:
    one, other = await made(rest, "SUBMITTER", "needs-1"), await made(rest, "SUBMITTER", "needs-2")
    mine, theirs = (await submitted(rest, one))["id"], (await submitted(rest, other))["id"]
    absent, headers = new_job_id(), bearer(one["key"])
    first, second = new_job_id(), new_job_id()
    scan = {"type": "scan", "params": {"path": "a"}}
    for needed in (theirs, absent):
        one_job = await rest.post("/api/media/jobs", json=scan | {"dependsOn": [needed]}, headers=headers)
        several = {"jobs": [scan, scan | {"dependsOn": [mine, needed]}]}
        batch = await rest.post("/api/media/jobs/batch", json=several, headers=headers)
        for answer in (one_job, batch):
            assert answer.status_code == 422, answer.text
            [error] = answer.json()["errors"]
            assert error["field"] == "dependsOn"
            assert (
                error["message"] == f"there is no job {needed}: it never was, or its history has been dropped"
            )
    pair = {"jobs": [scan | {"id": first}, scan | {"id": second, "dependsOn": [first, mine]}]}
    assert (await rest.post("/api/media/jobs/batch", json=pair, headers=headers)).status_code == 201
    assert (await rest.post("/api/media/jobs", json=scan | {"dependsOn": [theirs]})).status_code == 201


async def test_same_id_of_another_submitter_is_another_job(rest: httpx.AsyncClient) -> None:
    key = await made(rest, "SUBMITTER", "first")
    body = {"type": "scan", "params": {"path": "a"}, "id": new_job_id()}
    for headers, status in ((bearer(key["key"]), 201), (bearer(key["key"]), 200), ({}, 409)):
        answer = await rest.post("/api/media/jobs", json=body, headers=headers)
        assert answer.status_code == status


async def test_unique_keys_of_a_submitter_are_its_own(rest: httpx.AsyncClient) -> None:
    callers = [bearer((await made(rest, "SUBMITTER", name))["key"]) for name in ("lea", "max")]
    body = {"type": "scan", "params": {"path": "a"}, "uniqueKey": "once"}
    jobs: set[object] = set()
    for headers in (*callers, {}):
        first, again = [await rest.post("/api/media/jobs", json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json()["id"] == first.json()["id"]
        shown = await rest.get(f"/api/media/jobs/{first.json()['id']}", headers=headers)
        assert shown.json()["uniqueKey"] == "once"
        jobs.add(first.json()["id"])
    assert len(jobs) == 3
    long = await rest.post("/api/media/jobs", json=body | {"uniqueKey": "x" * 200}, headers=callers[0])
    assert (long.status_code, long.json()["errors"][0]["field"]) == (422, "uniqueKey")
