"""Many jobs at once over REST: created together, and acted on by their ids or by a filter."""

import pytest
from pydantic import TypeAdapter

from callsheet.client import Client
from callsheet.ids import new_job_id
from callsheet.v1.job_pb2 import NewJob
from tests.support.rest import JOBS, OBJECTS, Json, Rest
from tests.support.steered import Steered

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDS = TypeAdapter(list[str])
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def rest(steered: Steered) -> Rest:
    return steered.rest


async def batch(rest: Rest, count: int, **changes: object) -> list[str]:
    jobs = [{"type": "scan"} | changes for _ in range(count)]
    answer = await rest.ask("POST", f"{JOBS}/batch", {"jobs": jobs}, status=201)
    return [str(job["id"]) for job in OBJECTS.validate_python(answer["data"])]


async def act(rest: Rest, **asked: object) -> list[Json]:
    """Do one thing to all jobs that pass a filter, and return the answers."""
    answers: list[Json] = []
    cursor: object = ""
    while cursor is not None:
        answers.append(await rest.ask("POST", f"{JOBS}/actions", asked | {"cursor": cursor}))
        cursor = answers[-1]["nextCursor"]
    return answers


def numbers(answers: list[Json]) -> list[int]:
    return [len(IDS.validate_python(answer["done"])) for answer in answers]


async def test_bulk_action_by_filter_reaches_more_than_a_thousand_jobs(rest: Rest) -> None:
    ids = [*await batch(rest, 700, params={"path": "bulk"}), *await batch(rest, 505, params={"path": "bulk"})]
    outside = await rest.create("scan", params={"path": "elsewhere"})

    answers = await act(rest, action="pause", filter={"q": "bulk", "type": ["scan"]})
    assert numbers(answers) == [1000, 205]
    assert [answer["refused"] for answer in answers] == [[], []]
    assert await rest.count(q="bulk", status="paused") == len(ids)
    assert (await rest.job(outside))["status"] == "pending"

    assert numbers(await act(rest, action="reprioritise", priority=9, filter={"q": "bulk"})) == [1000, 205]
    assert {(await rest.job(job_id))["priority"] for job_id in (ids[0], ids[-1])} == {9}
    assert numbers(await act(rest, action="resume", filter={"q": "bulk"})) == [1000, 205]
    assert await rest.count(q="bulk", status="pending") == len(ids)
    assert numbers(await act(rest, action="cancel", filter={"q": "bulk"})) == [1000, 205]
    assert numbers(await act(rest, action="cancel", filter={"q": "bulk"})) == [0]
    assert numbers(await act(rest, action="retry", filter={"q": "bulk"})) == [1000, 205]
    assert await rest.count(q="bulk", status="pending") == len(ids)
    assert numbers(await act(rest, action="cancel", filter={"q": "bulk"})) == [1000, 205]


async def test_named_jobs_for_which_it_is_not_possible_are_told_apart(rest: Rest) -> None:
    waiting, ended = await batch(rest, 2)
    await rest.ask("POST", f"{JOBS}/{ended}/cancel")
    unknown = new_job_id()
    asked = {"action": "cancel", "ids": [waiting, ended, unknown, waiting]}
    answer = await rest.ask("POST", f"{JOBS}/actions", asked)
    assert (answer["done"], answer["nextCursor"]) == ([waiting], None)
    refused = {str(one["id"]): str(one["reason"]) for one in OBJECTS.validate_python(answer["refused"])}
    assert refused[unknown] == f"there is no job {unknown}"
    assert refused[ended].startswith("the job is cancelled already")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "explode", "ids": [ID]}, "action"),
        ({"action": "cancel"}, ""),
        ({"action": "cancel", "ids": []}, ""),
        ({"action": "cancel", "ids": [ID], "filter": {}}, ""),
        ({"action": "cancel", "ids": ["x"]}, "ids[0]"),
        ({"action": "cancel", "ids": [ID] * 1001}, "ids"),
        ({"action": "cancel", "filter": {"status": ["odd"]}}, "filter.status[0]"),
        ({"action": "cancel", "filter": {"page": 2}}, "filter.page"),
        ({"action": "cancel", "filter": {}, "cursor": "!"}, "cursor"),
        ({"action": "cancel", "filter": {}, "priority": 1}, ""),
        ({"action": "reprioritise", "filter": {}}, ""),
        ({"action": "reprioritise", "filter": {}, "priority": 0}, "priority"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_wrong_action_is_refused_and_named(rest: Rest, body: Json, field: str) -> None:
    assert (await rest.refused("POST", f"{JOBS}/actions", body))[:2] == (422, field)


async def test_batch_is_accepted_whole_or_not_at_all(rest: Rest) -> None:
    good: Json = {"type": "scan", "params": {"path": "whole"}}
    for wrong, field in (
        ({"type": "nope"}, "jobs[1].type"),
        ({"type": "scan", "priority": 11}, "jobs[1].priority"),
        ({"type": "scan", "params": {"root": 3}}, "jobs[1].params.root"),
        ({"type": "scan", "resourceCategory": "gpu_ai"}, "jobs[1].resourceCategory"),
    ):
        refused = await rest.refused("POST", f"{JOBS}/batch", {"jobs": [good, wrong]})
        assert refused[:2] == (422, field)
    assert (await rest.refused("POST", f"{JOBS}/batch", {"jobs": []}))[:2] == (422, "jobs")
    assert (await rest.refused("POST", f"{JOBS}/batch", {"jobs": [good] * 1001}))[:2] == (422, "jobs")
    assert await rest.count(q="whole") == 0
    named = [good | {"id": new_job_id()} for _ in range(3)]
    first = await rest.ask("POST", f"{JOBS}/batch", {"jobs": named}, status=201)
    again = await rest.ask("POST", f"{JOBS}/batch", {"jobs": named}, status=201)
    assert first == again
    assert [job["id"] for job in OBJECTS.validate_python(first["data"])] == [job["id"] for job in named]
    assert await rest.count(q="whole") == 3


async def test_jobs_that_a_job_caused_are_found_by_it(steered: Steered) -> None:
    rest = steered.rest
    parent = await rest.create("scan")
    async with Client(steered.scheduler.address) as client:
        child = (await client.submit(NewJob(type="scan", parent_id=parent))).id
    page = await rest.ask("GET", f"{JOBS}?parentId={parent}")
    assert [(job["id"], job["parentId"]) for job in OBJECTS.validate_python(page["data"])] == [
        (child, parent)
    ]
    assert (await rest.refused("GET", f"{JOBS}?parentId=x"))[:2] == (422, "parentId")
