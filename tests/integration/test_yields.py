"""Jobs that yield, over the whole way: processor, spool, stream, tables, and back."""

import asyncio
from pathlib import Path

import asyncpg
import grpc
import pytest
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.domain.job import JobState as State
from callsheet_scheduler.domain.outcome import Ending
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.channel import open_channel
from callsheet.errors import BadInputError
from callsheet.ids import new_job_id
from callsheet.params import JobParams
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import ListChildrenRequest
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor, Yielded
from tests.support.command_line import CommandLine
from tests.support.gateways import rest_over
from tests.support.leader import leader
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.workers import running_worker


class ChunkParams(JobParams):
    number: int
    bad: bool = False


class Chunk(Processor[ChunkParams]):
    job_type = JobType(name="chunk", description="Does a part.", params=ChunkParams)

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.done: list[int] = []

    @override
    async def process(self, params: ChunkParams, context: JobContext) -> Outcome:
        await self.go_on.wait()
        if params.bad:
            raise BadInputError("this chunk is bad")
        self.done.append(params.number)
        return Outcome(result={"number": params.number})


class JoinedParams(JobParams):
    chunks: int
    bad: int = -1
    """The number of a chunk that is bad when it is first tried."""


class Joined(Processor[JoinedParams]):
    """Yields to a job for each chunk, then to another one for each that failed, and joins them."""

    job_type = JobType(name="joined", description="Joins parts.", params=JoinedParams)

    @override
    async def process(self, params: JoinedParams, context: JobContext) -> Outcome | Yielded:
        if context.checkpoint is None:
            chunks = [_chunk(number, bad=number == params.bad) for number in range(params.chunks)]
            return Yielded(children=chunks, checkpoint={"phase": "joining"})
        children = await context.queue.children()
        numbers = {_result(job)["number"] for job in children if job.state == JobState.JOB_STATE_COMPLETED}
        missing = [number for number in range(params.chunks) if number not in numbers]
        if missing:
            return Yielded(children=[_chunk(number) for number in missing], checkpoint=context.checkpoint)
        return Outcome(result={"joined": len(numbers), "children": len(children)})


def _chunk(number: int, *, bad: bool = False) -> NewJob:
    params = ChunkParams(number=number, bad=bad).model_dump_json(by_alias=True)
    return NewJob(id=new_job_id(), type="chunk", params_json=params)


def _result(job: Job) -> dict[str, int]:
    return {"number": int(job.result_json.split(":")[1].strip(" }"))}


async def test_parent_holds_no_slot_and_joins_what_its_children_did(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    chunk = Chunk()
    async with running_worker(scheduler.port, tmp_path, more=[chunk, Joined()], slots=1) as worker:
        await jobs.known("joined")
        (parent,) = await jobs.submitted("joined", params='{"chunks": 3}')
        children = await jobs.first_children(parent)
        waiting = await jobs.seen(parent)
        assert waiting.state == JobState.JOB_STATE_PENDING
        assert waiting.waiting_reason == "Waiting for 3 jobs"
        assert waiting.children == 3
        assert [attempt.outcome for attempt in waiting.attempts] == ["yielded"]
        chunk.go_on.set()
        (done,) = await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)
        worker.stop.set()
        assert await worker.exit_code() == 0

    assert done.result_json == '{"joined":3,"children":3}'
    assert (done.attempt, done.retry_count, done.children) == (2, 0, 3)
    assert {child.parent_id for child in children} == {parent}
    assert "--- YIELDED --- waits for 3 jobs" in await jobs.log_of(parent)


async def test_bad_chunk_is_retried_alone(scheduler: RealScheduler, jobs: Jobs, tmp_path: Path) -> None:
    chunk = Chunk()
    chunk.go_on.set()
    async with running_worker(scheduler.port, tmp_path, more=[chunk, Joined()]):
        await jobs.known("joined")
        (parent,) = await jobs.submitted("joined", params='{"chunks": 4, "bad": 2}')
        (done,) = await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)

    assert done.result_json == '{"joined":4,"children":5}'
    assert sorted(chunk.done) == [0, 1, 2, 3]
    assert [attempt.outcome for attempt in done.attempts] == ["yielded", "yielded", "completed"]


async def test_children_and_parent_outlive_the_scheduler_and_are_made_once(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    chunk = Chunk()
    async with running_worker(scheduler.port, tmp_path, more=[chunk, Joined()]):
        await jobs.known("joined")
        (parent,) = await jobs.submitted("joined", params='{"chunks": 5}')
        await jobs.first_children(parent)
        await scheduler.kill()
        chunk.go_on.set()
        await scheduler.start()
        (done,) = await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)
        found = await jobs.children(parent)

    assert done.result_json == '{"joined":5,"children":5}'
    assert len(found) == 5
    assert sorted(chunk.done) == [0, 1, 2, 3, 4]


async def test_cancelled_parent_ends_after_its_children(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    chunk = Chunk()
    async with running_worker(scheduler.port, tmp_path, more=[chunk, Joined()], slots=1):
        await jobs.known("joined")
        (parent,) = await jobs.submitted("joined", params='{"chunks": 3}')
        children = [child.id for child in await jobs.first_children(parent)]

        await jobs.cancel(parent)

        ended = await jobs.reached([parent, *children], JobState.JOB_STATE_CANCELLED)
    first, *others = ended
    assert first.finished_at.ToNanoseconds() >= max(one.finished_at.ToNanoseconds() for one in others)
    assert not chunk.done


async def test_children_are_listed_by_the_page_in_the_order_given(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    chunk = Chunk()
    chunk.go_on.set()
    async with running_worker(scheduler.port, tmp_path, more=[chunk, Joined()]):
        await jobs.known("joined")
        (parent,) = await jobs.submitted("joined", params='{"chunks": 5}')
        await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)
        async with open_channel(scheduler.address) as channel:
            stub = JobServiceStub(channel)
            request = ListChildrenRequest(id=parent, page_size=2)
            numbers: list[int] = []
            pages = 0
            while pages == 0 or request.page_token:
                answer = await stub.ListChildren(request)
                numbers += [_result(job)["number"] for job in answer.jobs]
                request.page_token = answer.next_page_token
                pages += 1
            for wrong, code in (
                (ListChildrenRequest(id=new_job_id()), grpc.StatusCode.NOT_FOUND),
                (ListChildrenRequest(id=parent, page_token="x"), grpc.StatusCode.INVALID_ARGUMENT),
                (ListChildrenRequest(id=parent, page_size=201), grpc.StatusCode.INVALID_ARGUMENT),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await stub.ListChildren(wrong)
                assert raised.value.code() is code

        async with rest_over(scheduler.address, GatewaySettings()) as rest:
            at = f"/api/media/jobs/{parent}"
            assert (await rest.get(at)).json()["children"] == 5
            first = (await rest.get(f"{at}/children", params={"limit": 3})).json()
            rest_of = (
                await rest.get(f"{at}/children", params={"limit": 3, "cursor": first["nextCursor"]})
            ).json()
        told = await CommandLine(tmp_path, scheduler=scheduler.address).run(
            "jobs", "children", parent, "--json"
        )

    assert numbers == [0, 1, 2, 3, 4]
    assert pages == 3
    ids = [job["id"] for job in (*first["data"], *rest_of["data"])]
    assert (len(first["data"]), len(rest_of["data"]), rest_of["nextCursor"]) == (3, 2, None)
    assert [job["id"] for job in told.documents()] == ids


async def test_retried_parent_begins_at_the_beginning(fresh_dsn: str, db_writer: asyncpg.Connection) -> None:
    async with leader(fresh_dsn) as one:
        (parent,) = await one.submit()
        (grant,) = await one.granted(parent)
        children = one.yield_to(grant, 2)
        await one.told(lambda: bool(one.hands.acks))
        one.leave()
        live = await db_writer.fetchrow(
            "SELECT state, yields, cardinality(children) AS children FROM job_live WHERE id = $1", parent
        )
        assert live is not None
        assert tuple(live) == (State.PENDING, 1, 2)
        leased = await one.granted(*children)
        await one.actions.cancel(parent, by="ann")
        for sent in leased:
            one.end(sent, ending=Ending.CANCELLED)
        one.term.commits.flush()
        await one.told(lambda: {ack.job_id for ack in one.hands.acks} >= set(children))
        await one.term.commits.quiet()
        done = await db_writer.fetchrow(
            "SELECT state, cardinality(children) AS children FROM job_done WHERE id = $1", parent
        )
        assert done is not None
        assert tuple(done) == (State.CANCELLED, 2)

        await one.actions.retry(parent)

        (again,) = [one.term.engine.queue.jobs[parent]]
        assert again.ties is None
        back = await db_writer.fetchrow("SELECT yields, children FROM job_live WHERE id = $1", parent)
        assert back is not None
        assert tuple(back) == (0, None)
