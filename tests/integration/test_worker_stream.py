"""A worker on its stream, against a scheduler that does what each test says, over real gRPC."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.errors import InvalidError
from callsheet.ids import new_job_id
from callsheet.params import NoParams
from callsheet.v1.job_pb2 import FailureKind
from callsheet.v1.lease_service_pb2 import Grant, LeaseRef, ResultFate, WorkResponse
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from tests.support.scripted_scheduler import ScriptedScheduler, scripted_scheduler
from tests.support.workers import RunningWorker, running_worker


@pytest.fixture
async def scheduler() -> AsyncIterator[ScriptedScheduler]:
    async with scripted_scheduler() as scheduler:
        yield scheduler


@pytest.fixture
async def worker(scheduler: ScriptedScheduler, tmp_path: Path) -> AsyncIterator[RunningWorker]:
    async with running_worker(scheduler.port, tmp_path) as worker:
        yield worker


async def test_worker_says_who_it_is_and_what_it_can_do(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    hello = (await scheduler.stream()).hello

    assert re.fullmatch(r"atlas-cpu-[0-9a-f]{8}", hello.worker_id)
    assert (hello.host, hello.slots, hello.credit, list(hello.roots)) == ("atlas", 3, 3, ["made"])
    assert list(hello.writable_roots) == ["made"]
    assert [one.name for one in hello.types] == ["count", "faulty", "full", "noop", "patient", "publish"]
    assert '"countTo"' in hello.types[0].params_schema_json


async def test_granted_jobs_are_done_and_their_credit_comes_back(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    leases = stream.grant("noop", "noop", "noop")

    results = [await stream.result(lease) for lease in leases]
    await stream.until(lambda said: sum(request.credit for request in said) == 3)

    assert [result.completed.result_json for result in results] == ["{}"] * 3
    assert all(result.ended_at.ToNanoseconds() >= result.started_at.ToNanoseconds() for result in results)


async def test_log_is_stamped_clean_and_ahead_of_the_result(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("count", params='{"countTo": 3000}')

    result = await stream.result(lease)

    lines = stream.log_of(lease).splitlines()
    assert result.completed.result_json == '{"counted":3000}'
    assert len(lines) == 3000
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] number 1\ufffd\ufffd\[31m", lines[0])
    sizes = [len(chunk.text.encode()) for request in stream.requests for chunk in request.logs]
    assert max(sizes) <= 16 * 1024
    assert len(sizes) < 12


async def test_worker_that_fails_many_jobs_in_a_row_drains_itself(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path, failures_in_row_max=3) as worker:
        stream = await scheduler.welcomed()
        for number, job_type in enumerate(("faulty", "full", "noop", "faulty", "full", "faulty")):
            assert not any(request.drain for request in stream.requests), number
            (lease,) = stream.grant(job_type, first=number + 1)
            await stream.result(lease)
            stream.acknowledge(lease)

        await stream.until(lambda said: any(request.drain for request in said))
        stream.say(WorkResponse(logs_kept=1 << 32))
        await stream.goodbye()
        assert await worker.exit_code() == 1


class Manners(Processor[NoParams]):
    """Tells whether the children that the attempt would get yield to others."""

    job_type = JobType(name="manners", description="Tells.", params=NoParams)

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        return Outcome(
            result={"decoders": context.children.decoders_yield, "programs": context.children.background}
        )


@pytest.mark.parametrize("interactive", [True, False])
async def test_only_jobs_that_somebody_waits_for_have_children_that_do_not_yield(
    scheduler: ScriptedScheduler, tmp_path: Path, *, interactive: bool
) -> None:
    async with running_worker(scheduler.port, tmp_path, more=[Manners()]):
        stream = await scheduler.welcomed()
        lease = LeaseRef(job_id=new_job_id(), token=1)
        grant = Grant(lease=lease, type="manners", params_json="{}", attempt=1, run_limit_s=60)
        grant.interactive = interactive
        stream.say(WorkResponse(grants=[grant]))
        done = (await stream.result(lease)).completed

    assert json.loads(done.result_json) == {"decoders": not interactive, "programs": not interactive}


async def test_worker_that_has_done_its_share_drains_itself_without_complaint(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path, jobs_max=2) as worker:
        stream = await scheduler.welcomed()
        for number in (1, 2):
            assert not any(request.drain for request in stream.requests), number
            (lease,) = stream.grant("noop", first=number)
            await stream.result(lease)
            stream.acknowledge(lease)

        await stream.until(lambda said: any(request.drain for request in said))
        stream.say(WorkResponse(logs_kept=1 << 32))
        await stream.goodbye()
        assert await worker.exit_code() == 0


async def test_parameters_that_the_job_type_refuses_are_bad_input_with_their_name(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("count", params='{"countTo": "many"}')

    failed = (await stream.result(lease)).failed

    assert failed.kind == FailureKind.FAILURE_KIND_BAD_INPUT
    assert "parameter countTo: " in failed.reason
    assert f"--- ERROR ---\n{stream.log_of(lease)[:22]}{failed.reason}\n" in stream.log_of(lease)


async def test_fault_of_a_processor_is_a_bug_and_leaves_its_trace_in_the_log(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    bug, full = stream.grant("faulty", "full")

    failed = (await stream.result(bug)).failed

    assert (failed.kind, failed.reason) == (FailureKind.FAILURE_KIND_BUG, "KeyError: 'no such thing'")
    assert 'raise KeyError("no such thing")' in stream.log_of(bug)
    capacity = (await stream.result(full)).failed
    assert (capacity.kind, capacity.reason) == (FailureKind.FAILURE_KIND_CAPACITY, "the disk is full")
    assert "Traceback" not in stream.log_of(full)


async def test_attempt_whose_lease_is_stale_ends_and_reports_nothing(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (stale,) = stream.grant("patient")
    await stream.started(stale)

    stream.revoke(stale, cancelled=False)
    await stream.until(lambda said: sum(request.credit for request in said) == 1)
    (other,) = stream.grant("noop", first=2)
    await stream.result(other)

    assert worker.patient.cancelled == 1
    assert [one.lease for request in stream.requests for one in request.results] == [other]


async def test_stale_result_takes_only_its_own_files_with_it(
    scheduler: ScriptedScheduler, worker: RunningWorker, tmp_path: Path
) -> None:
    stream = await scheduler.welcomed()
    stale, good = stream.grant("publish", "publish")
    await stream.result(stale)
    await stream.result(good)

    stream.acknowledge(good)
    stream.acknowledge(stale, ResultFate.RESULT_FATE_STALE)
    worker.stop.set()
    await stream.goodbye()

    assert await worker.exit_code() == 0
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        f"picture.{good.token:016x}.jpg",
        "picture.jpg",
    }


async def test_attempt_beyond_its_run_limit_is_ended(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (lease,) = stream.grant("patient", run_limit_s=1)

    failed = (await stream.result(lease)).failed

    assert failed.kind == FailureKind.FAILURE_KIND_TRANSIENT
    assert failed.reason == "It did not end within its run limit of 1 s"


async def test_work_goes_on_while_the_stream_is_lost_and_its_result_comes_again(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    first = await scheduler.welcomed()
    done, running = first.grant("noop", "patient")
    await first.result(done)
    await first.started(running)

    first.break_off()
    second = await scheduler.stream()
    worker.patient.go_on.set()
    second.welcome()

    assert {one.token for one in second.hello.held} == {done.token, running.token}
    assert second.hello.credit == 1
    assert (await second.result(done)).HasField("completed")
    assert (await second.result(running)).HasField("completed")
    assert worker.patient.begun == 1


async def test_lease_that_the_welcome_calls_stale_is_given_up(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    first = await scheduler.welcomed()
    (lease,) = first.grant("patient")
    await first.started(lease)

    first.break_off()
    second = await scheduler.stream()
    second.welcome(stale=[lease])
    await second.until(lambda said: sum(request.credit for request in said) == 1)

    assert worker.patient.cancelled == 1
    assert not any(request.results for request in second.requests)


async def test_worker_that_died_with_a_result_delivers_it_when_it_is_started_again(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with running_worker(scheduler.port, tmp_path):
        first = await scheduler.welcomed()
        (lease,) = first.grant("publish")
        result = await first.result(lease)

    async with running_worker(scheduler.port, tmp_path):
        second = await scheduler.welcomed()
        assert second.hello.worker_id == first.hello.worker_id
        assert list(second.hello.held) == [lease]
        assert await second.result(lease) == result
        second.acknowledge(lease)
        (after_it,) = second.grant("noop", first=2)
        await second.result(after_it)

    async with running_worker(scheduler.port, tmp_path):
        assert not (await scheduler.stream()).hello.held


async def test_drain_waits_for_what_runs_and_takes_nothing_new(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    stream = await scheduler.welcomed()
    (running,) = stream.grant("patient")
    await stream.started(running)

    worker.stop.set()
    await stream.until(lambda said: any(request.drain for request in said))
    (late,) = stream.grant("noop", first=2)
    handed_back = await stream.result(late)
    worker.patient.go_on.set()
    done = await stream.result(running)
    stream.acknowledge(late)
    stream.acknowledge(running)
    await stream.goodbye()

    assert handed_back.returned.reason == "The worker is drained"
    assert done.HasField("completed")
    assert await worker.exit_code() == 0


@pytest.mark.parametrize("second_signal", [False, True])
async def test_drain_hands_back_what_does_not_end(
    scheduler: ScriptedScheduler, tmp_path: Path, *, second_signal: bool
) -> None:
    grace_s = 60.0 if second_signal else 0.0
    async with running_worker(scheduler.port, tmp_path, drain_grace_s=grace_s) as worker:
        stream = await scheduler.welcomed()
        (lease,) = stream.grant("patient")
        await stream.started(lease)

        worker.stop.set()
        if second_signal:
            await stream.until(lambda said: any(request.drain for request in said))
            worker.stop.set()

        assert (await stream.result(lease)).returned.reason == "The worker is drained"
        stream.acknowledge(lease)
        await stream.goodbye()
        assert await worker.exit_code() == 0


async def test_stream_that_answers_no_heartbeat_is_left_for_a_new_one(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    first = await scheduler.stream()
    first.answers_heartbeats = False
    first.welcome(lease_ttl_s=1)
    (lease,) = first.grant("patient")

    second = await scheduler.stream()

    assert list(second.hello.held) == [lease]
    assert worker.patient.cancelled == 0


async def test_worker_without_a_scheduler_stops_its_attempts_after_the_orphan_limit(
    scheduler: ScriptedScheduler, worker: RunningWorker
) -> None:
    first = await scheduler.stream()
    first.answers_heartbeats = False
    first.welcome(lease_ttl_s=30, orphan_limit_s=1)
    (lease,) = first.grant("patient")

    result = await first.result(lease)

    assert result.returned.reason == "The worker heard nothing from the scheduler for too long"


async def test_worker_finds_its_scheduler_again_after_a_restart(tmp_path: Path) -> None:
    async with AsyncExitStack() as outer, AsyncExitStack() as first_life:
        before = await first_life.enter_async_context(scripted_scheduler())
        worker = await outer.enter_async_context(running_worker(before.port, tmp_path))
        first = await before.welcomed()
        (lease,) = first.grant("patient")
        await first.started(lease)

        await first_life.aclose()
        after = await outer.enter_async_context(scripted_scheduler(before.port))
        second = await after.welcomed()
        worker.patient.go_on.set()

        assert list(second.hello.held) == [lease]
        assert (await second.result(lease)).HasField("completed")
        assert worker.patient.begun == 1


async def test_two_workers_cannot_share_a_spool(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with running_worker(scheduler.port, tmp_path):
        await scheduler.stream()
        async with running_worker(scheduler.port, tmp_path) as second:
            with pytest.raises(InvalidError, match=r"CALLSHEET_SPOOL: another worker uses"):
                await second.exit_code()
