"""Collections, over the whole way: slugs of jobs and items, progress, filters, REST, the command line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.domain.job import JobState as State
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.store.collections import CollectionStore
from callsheet_scheduler.store.job_lists import JobFilter
from callsheet_scheduler.use_cases.collections import Collections
from callsheet_scheduler.use_cases.jobs import Submission
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.channel import open_channel
from callsheet.ids import new_job_id
from callsheet.params import NoParams
from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.library_service_pb2 import ItemFacts, ItemState, MediaKind
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from tests.support.command_line import CommandLine
from tests.support.gateways import rest_over
from tests.support.leader import Leader, leader
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.workers import running_worker

SCAN = Submission(type="public_scan", params='{"directoryType": "a"}')


class Find(Processor[NoParams]):
    """Finds an item in mid-job and another one at its end, and causes a job in each of the two ways."""

    job_type = JobType(name="find", description="Finds.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        await context.library.upsert([_facts("first.jpg")])
        await context.queue.submit([NewJob(type="noop")])
        return Outcome(items=[_facts("last.jpg")], follow_ups=[NewJob(id=new_job_id(), type="noop")])


def _facts(path: str) -> ItemFacts:
    return ItemFacts(
        root="made",
        path=path,
        kind=MediaKind.MEDIA_KIND_IMAGE,
        state=ItemState.ITEM_STATE_OK,
        size_bytes=1,
        mtime_ns=1,
        identity="00",
        format="JPEG",
    )


@pytest.fixture
async def rest(scheduler: RealScheduler) -> AsyncIterator[httpx.AsyncClient]:
    async with rest_over(scheduler.address, GatewaySettings()) as rest:
        yield rest


async def _shown(one: Leader, readers: asyncpg.Pool, slug: str) -> dict[State, int]:
    return (await Collections(one.leadership, CollectionStore(readers)).one(slug)).jobs


async def test_progress_is_that_of_the_jobs_through_every_change(
    fresh_dsn: str, db_readers: asyncpg.Pool
) -> None:
    async with leader(fresh_dsn) as one:
        jobs = [job.id for job in await one.jobs.submit([SCAN._replace(collection="trip")] * 4)]
        await one.jobs.submit([SCAN])
        assert await _shown(one, db_readers, "trip") == {State.PENDING: 4}
        await one.finish(*jobs[:2])
        await one.finish(jobs[2], ending=Ending.BAD_INPUT)
        one.leave()
        await one.actions.cancel(jobs[3], by="ann")
        assert await _shown(one, db_readers, "trip") == {
            State.COMPLETED: 2,
            State.FAILED: 1,
            State.CANCELLED: 1,
        }
        await one.actions.retry(jobs[2])
        assert await _shown(one, db_readers, "trip") == {
            State.PENDING: 1,
            State.COMPLETED: 2,
            State.CANCELLED: 1,
        }


async def test_next_leader_counts_the_same(fresh_dsn: str, db_readers: asyncpg.Pool) -> None:
    async with leader(fresh_dsn) as one:
        jobs = [job.id for job in await one.jobs.submit([SCAN._replace(collection="trip")] * 3)]
        await one.finish(jobs[0])
        one.leave()
        await one.term.commits.quiet()
    async with leader(fresh_dsn) as two:
        assert await _shown(two, db_readers, "trip") == {State.PENDING: 2, State.COMPLETED: 1}


async def test_list_has_the_jobs_of_one_collection_in_every_state(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        mine = [job.id for job in await one.jobs.submit([SCAN._replace(collection="trip")] * 3)]
        await one.jobs.submit([SCAN._replace(collection="other"), SCAN])
        await one.finish(mine[0])

        page = await one.views.page(JobFilter(collection="trip"), size=10, after="", skip=0)
        first = await one.views.page(JobFilter(collection="trip"), size=2, after="", skip=0)
        rest = await one.views.page(JobFilter(collection="trip"), size=2, after=first.next_token, skip=0)

    assert {view.row.id for view in page.jobs} == set(mine)
    assert {view.row.collection for view in page.jobs} == {"trip"}
    assert (page.total, page.total_is_exact) == (3, True)
    assert len(first.jobs) + len(rest.jobs) == 3


async def test_slug_is_part_of_the_job_and_a_repetition_has_the_same(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        (job,) = await one.submit()
        again = await one.jobs.submit([SCAN._replace(id=job)])
        assert again[0].existed
        with pytest.raises(Exception, match="belongs to another job"):
            await one.jobs.submit([SCAN._replace(id=job, collection="trip")])
        with pytest.raises(Exception, match="1 to 100 of a-z"):
            await one.jobs.submit([SCAN._replace(collection="No Slug")])


async def test_what_a_job_finds_and_causes_belongs_to_its_collection(
    scheduler: RealScheduler, rest: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with (
        open_channel(scheduler.address) as channel,
        running_worker(scheduler.port, tmp_path, more=[Find()]),
    ):
        jobs = Jobs(channel)
        await jobs.known("find")
        created = await rest.post("/api/media/jobs", json={"type": "find", "collection": "trip"})
        parent = created.json()["id"]
        await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)
        caused = [child.id for child in await jobs.children(parent)]
        await jobs.reached(caused, JobState.JOB_STATE_COMPLETED)

        items = (await rest.get("/api/media/items", params={"collection": "trip"})).json()["data"]
        elsewhere = (await rest.get("/api/media/items", params={"collection": "other"})).json()["data"]
        found = (await rest.get("/api/media/jobs", params={"collection": "trip"})).json()
        shown = (await rest.get("/api/collections/trip")).json()

    assert len(caused) == 2
    assert {job["id"] for job in found["data"]} == {parent, *caused}
    assert sorted(item["fileName"] if "fileName" in item else item["path"] for item in items) == [
        "first.jpg",
        "last.jpg",
    ]
    assert {item["collection"] for item in items} == {"trip"}
    assert {job["submittedBy"] for job in found["data"]} == {"admin"}
    assert elsewhere == []
    assert (shown["total"], shown["done"], shown["percentDone"]) == (3, 3, 100.0)
    assert shown["jobs"] == {"completed": 3}
    assert shown["finishedAt"] >= shown["startedAt"]


async def test_collections_are_made_titled_and_listed_by_the_page(rest: httpx.AsyncClient) -> None:
    for slug in ("a", "b", "c"):
        made = await rest.post("/api/collections", json={"slug": slug, "title": f"Title {slug}"})
        assert made.status_code == 201, made.text
    again = await rest.post("/api/collections", json={"slug": "a"})
    assert again.json()["title"] == "Title a"
    first = (await rest.get("/api/collections", params={"limit": 2})).json()
    last = (await rest.get("/api/collections", params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [one["slug"] for one in (*first["data"], *last["data"])] == ["a", "b", "c"]
    assert last["nextCursor"] is None
    assert (await rest.get("/api/collections/nowhere")).status_code == 404
    assert (await rest.post("/api/collections", json={"slug": "No"})).status_code == 422


async def test_command_line_submits_into_a_collection_and_waits_for_it(
    scheduler: RealScheduler, tmp_path: Path
) -> None:
    callsheet = CommandLine(tmp_path, scheduler=scheduler.address)
    async with open_channel(scheduler.address) as channel, running_worker(scheduler.port, tmp_path) as worker:
        await Jobs(channel).known("patient")
        made = await callsheet.run("collections", "create", "trip", "--title", "A trip", "--json")
        submitted = await callsheet.run("jobs", "submit", "patient", "--collection", "trip")
        waiting = asyncio.create_task(callsheet.run("collections", "wait", "trip", "--json"))
        listed = await callsheet.run("jobs", "list", "--collection", "trip", "--json")
        worker.patient.go_on.set()
        waited = await waiting
        await callsheet.run("jobs", "submit", "faulty", "--collection", "trip", "--max-retries", "0")
        failed = await callsheet.run("collections", "wait", "trip")
        table = await callsheet.run("collections", "list")

    assert made.document()["title"] == "A trip"
    assert [job["id"] for job in listed.documents()] == [submitted.out.strip()]
    assert waited.code == 0
    assert waited.document()["done"] == 1
    assert failed.code == 1
    assert "trip" in table.out
