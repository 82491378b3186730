"""Workers and a real scheduler process, through their deaths."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.channel import open_channel
from callsheet.errors import LeaseLostError
from callsheet.ids import new_job_id
from callsheet.params import NoParams
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceStub
from callsheet.v1.job_pb2 import JobState, NewJob, StopRung
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2 import ItemFacts, ItemState, MediaKind
from callsheet.v1.library_service_pb2_grpc import LibraryServiceStub
from callsheet.worker.context import JobContext
from callsheet.worker.lease import Lease
from callsheet.worker.leftovers import LeaseQuestions, Standing
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.reports import RemoteLibrary, RemoteQueue
from tests.support.plug_ins import STRIDE_BYTES, Digest, digest_of
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler
from tests.support.workers import running_worker


class Shelve(Processor[NoParams]):
    """Writes items and reads them back; the test may do something in between."""

    job_type = JobType(name="shelve", description="Writes items.", params=NoParams)

    def __init__(self) -> None:
        self.wrote = asyncio.Event()
        self.go_on = asyncio.Event()
        self.read: list[str] = []

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        ids = await context.library.upsert([_facts(f"a/{number:04}.jpg") for number in range(2500)])
        self.wrote.set()
        await self.go_on.wait()
        await context.library.upsert([_facts("b.jpg")], missing_ids=ids[:1200])
        below = await context.library.items_below("made", "a")
        self.read = [item.facts.path for item in below if item.facts.state == ItemState.ITEM_STATE_OK]
        assert {item.id for item in await context.library.items(ids)} == set(ids)
        return Outcome(result={"items": len(below)})


class TellLease(Processor[NoParams]):
    """Tells its lease and waits."""

    job_type = JobType(name="tell_lease", description="Waits.", params=NoParams)

    def __init__(self) -> None:
        self.leases: asyncio.Queue[Lease] = asyncio.Queue()
        self.go_on = asyncio.Event()

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        self.leases.put_nowait(context.lease)
        await self.go_on.wait()
        return Outcome()


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


async def test_jobs_are_done_and_their_logs_kept(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path):
        await jobs.known("noop")
        (faulty,) = await jobs.submitted("faulty", max_retries=0)
        noops = await jobs.submitted(*["noop"] * 200)

        await jobs.reached(noops, JobState.JOB_STATE_COMPLETED)
        (failed,) = await jobs.reached([faulty], JobState.JOB_STATE_FAILED)

    assert failed.error == "KeyError: 'no such thing'"
    assert "--- ERROR ---" in await jobs.log_of(faulty)
    assert 'raise KeyError("no such thing")' in await jobs.log_of(faulty)


async def test_killed_scheduler_interrupts_no_attempt(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path) as worker:
        await jobs.known("patient")
        ids = await jobs.submitted("patient", "patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)

        await scheduler.kill()
        worker.patient.go_on.set()
        await scheduler.start()
        done = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert worker.patient.begun == 2
    assert [job.attempt for job in done] == [1, 1]
    assert [attempt.outcome for job in done for attempt in job.attempts] == ["completed", "completed"]


async def test_job_of_a_worker_that_died_runs_again_at_once_when_it_is_back(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path):
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)

    async with running_worker(scheduler.port, tmp_path) as worker:
        worker.patient.go_on.set()
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert job.attempt == 2
    assert job.retry_count == 0


async def test_running_job_can_be_cancelled(scheduler: RealScheduler, jobs: Jobs, tmp_path: Path) -> None:
    async with running_worker(scheduler.port, tmp_path) as worker:
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)

        await jobs.cancel(ids[0])
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_CANCELLED)

        assert worker.patient.cancelled == 1
        assert job.stop_rung == StopRung.STOP_RUNG_ASKED
        assert "--- CANCELLED ---" in await jobs.log_of(ids[0])


async def test_drained_worker_hands_its_job_to_another(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with running_worker(scheduler.port, tmp_path, drain_grace_s=0.0) as first:
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)
        async with running_worker(scheduler.port, elsewhere) as second:
            second.patient.go_on.set()
            first.stop.set()
            assert await first.exit_code() == 0
            (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert job.retry_count == 0
    assert [attempt.outcome for attempt in job.attempts] == ["returned", "completed"]


async def test_library_written_in_mid_job_outlives_a_restart_of_the_scheduler(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    shelve = Shelve()
    async with running_worker(scheduler.port, tmp_path, more=[shelve]):
        await jobs.known("shelve")
        ids = await jobs.submitted("shelve")
        await shelve.wrote.wait()

        await scheduler.kill()
        shelve.go_on.set()
        await scheduler.start()
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert (job.attempt, job.result_json) == (1, '{"items":2500}')
    assert shelve.read == [f"a/{number:04}.jpg" for number in range(1200, 2500)]


class Beget(Processor[NoParams]):
    """Submits jobs when the test lets it."""

    job_type = JobType(name="beget", description="Submits jobs.", params=NoParams)

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        self.begun.set()
        await self.go_on.wait()
        await context.queue.submit([NewJob(type="noop")] * 1_500)
        return Outcome()


async def test_jobs_submitted_in_mid_job_outlive_a_restart_and_come_once(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    beget = Beget()
    async with running_worker(scheduler.port, tmp_path, more=[beget]):
        await jobs.known("beget", "noop")
        (parent,) = await jobs.submitted("beget")
        await beget.begun.wait()

        await scheduler.kill()
        beget.go_on.set()
        await scheduler.start()
        await jobs.reached([parent], JobState.JOB_STATE_COMPLETED)
        children = await jobs.children(parent)

    assert len(children) == len({job.id for job in children}) == 1_500
    assert {job.type for job in children} == {"noop"}


async def test_unfinished_jobs_of_a_type_are_told_whoever_caused_them(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path), open_channel(scheduler.address) as channel:
        await jobs.known("patient", "noop")
        done = await jobs.submitted("noop")
        waiting = await jobs.submitted(*["patient"] * 450)
        await jobs.reached(done, JobState.JOB_STATE_COMPLETED)
        queue = RemoteQueue(
            JobServiceStub(channel),
            FleetServiceStub(channel),
            Lease(job_id=done[0], token=1, attempt=1),
            worker_id="",
            deadline_s=30.0,
        )

        found = await queue.unfinished("patient")

        assert {job.id for job in found} == set(waiting)
        assert len(found) == 450
        assert await queue.unfinished("noop") == []


async def test_job_of_a_worker_that_fell_silent_is_given_to_another(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with running_worker(scheduler.port, tmp_path):
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)

    async with running_worker(scheduler.port, elsewhere) as other:
        other.patient.go_on.set()
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert [attempt.outcome for attempt in job.attempts] == ["expired", "completed"]
    assert job.retry_count == 0


async def test_library_is_not_written_under_a_lease_that_is_lost(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path), open_channel(scheduler.address) as channel:
        await jobs.known("patient")
        (job_id,) = await jobs.submitted("patient")
        await jobs.reached([job_id], JobState.JOB_STATE_RUNNING)
        lease = Lease(job_id=job_id, token=1, attempt=1)
        library = RemoteLibrary(LibraryServiceStub(channel), lease, deadline_s=30.0)

        with pytest.raises(LeaseLostError):
            await library.upsert([_facts("b.jpg")])

        assert await library.items_below("made", "") == []


async def test_paused_job_goes_on_from_its_checkpoint_on_another_worker(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 8192
    elsewhere = tmp_path / "elsewhere"
    for folder in (tmp_path / "made", elsewhere / "made"):
        folder.mkdir(parents=True)
        (folder / "file.bin").write_bytes(content)
    async with running_worker(scheduler.port, tmp_path, more=[Digest()]):
        await jobs.known("test_digest")
        params = json.dumps({"path": "file.bin", "paceS": 0.1})
        (job_id,) = await jobs.submitted("test_digest", params=params)
        await jobs.progressed(job_id)

        await jobs.pause(job_id)
        (paused,) = await jobs.reached([job_id], JobState.JOB_STATE_PAUSED)

    async with running_worker(scheduler.port, elsewhere, more=[Digest()]):
        await jobs.resume(job_id)
        (job,) = await jobs.reached([job_id], JobState.JOB_STATE_COMPLETED)

    done = json.loads(job.result_json)
    assert [attempt.outcome for attempt in paused.attempts] == ["paused"]
    assert [attempt.outcome for attempt in job.attempts] == ["paused", "completed"]
    assert done["digest"] == digest_of(content)
    assert 0 < done["strides"] < len(content) // STRIDE_BYTES
    assert job.retry_count == 0


async def test_resumable_job_of_a_worker_that_leaves_goes_on_elsewhere_from_its_checkpoint(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 8192
    elsewhere = tmp_path / "elsewhere"
    for folder in (tmp_path / "made", elsewhere / "made"):
        folder.mkdir(parents=True)
        (folder / "file.bin").write_bytes(content)
    async with running_worker(scheduler.port, tmp_path, more=[Digest()]) as leaving:
        await jobs.known("test_digest")
        params = json.dumps({"path": "file.bin", "paceS": 0.1})
        ids = await jobs.submitted("test_digest", params=params)
        await jobs.progressed(ids[0])
        leaving.stop.set()
        await leaving.exit_code()
    async with running_worker(scheduler.port, elsewhere, more=[Digest()]):
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    done = json.loads(job.result_json)
    assert [attempt.outcome for attempt in job.attempts] == ["returned", "completed"]
    assert done["digest"] == digest_of(content)
    assert 0 < done["strides"] < len(content) // STRIDE_BYTES
    assert job.retry_count == 0


async def test_job_that_cannot_be_paused_says_so_and_goes_on(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path) as worker:
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await jobs.pause(ids[0])
        worker.patient.go_on.set()
        await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_worker_drained_by_an_administrator_hands_back_and_waits_until_it_may_work(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path) as worker:
        await jobs.known("patient")
        ids = await jobs.submitted("patient")
        await jobs.reached(ids, JobState.JOB_STATE_RUNNING)
        (worker_id,) = await jobs.connected(1)

        await jobs.drain(worker_id, grace_s=0)
        (waiting,) = await jobs.reached(ids, JobState.JOB_STATE_PENDING)
        assert [attempt.outcome for attempt in waiting.attempts] == ["returned"]
        await jobs.undrain(worker_id)
        worker.patient.go_on.set()
        (job,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)

    assert [attempt.outcome for attempt in job.attempts] == ["returned", "completed"]
    assert job.retry_count == 0


async def test_scheduler_tells_what_is_certain_of_a_lease(
    scheduler: RealScheduler, jobs: Jobs, tmp_path: Path
) -> None:
    told = TellLease()
    async with (
        running_worker(scheduler.port, tmp_path, more=[told]),
        open_channel(scheduler.address) as channel,
    ):
        questions = LeaseQuestions(JobServiceStub(channel), LibraryServiceStub(channel), deadline_s=30.0)
        await jobs.known("tell_lease")
        ids = await jobs.submitted("tell_lease")
        lease = await told.leases.get()
        assert await questions.standing(lease.job_id, lease.token) is Standing.HELD
        assert await questions.standing(lease.job_id, lease.token - 1) is Standing.OVER

        told.go_on.set()
        await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
        assert await questions.standing(lease.job_id, lease.token) is Standing.SETTLED
        assert await questions.standing(new_job_id(), lease.token) is Standing.SETTLED
        assert await questions.standing("no-such-id", lease.token) is Standing.HELD
