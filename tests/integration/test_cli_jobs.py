"""``callsheet jobs`` against a real scheduler and a real worker."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.channel import open_channel
from callsheet.params import NoParams
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.sandbox.rights import lacks, strength
from tests.support.command_line import CommandLine
from tests.support.processes import until
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.workers import RunningWorker, running_worker


class Talk(Processor[NoParams]):
    """Says something, waits for the test, and says something else."""

    job_type = JobType(name="talk", description="Talks.", params=NoParams)

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        context.report.log("one")
        self.begun.set()
        await self.go_on.wait()
        context.report.log("two")
        return Outcome()


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler:
        yield scheduler


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
async def worker(scheduler: RealScheduler, talk: Talk, tmp_path: Path) -> AsyncIterator[RunningWorker]:
    async with running_worker(scheduler.port, tmp_path, more=[talk]) as worker:
        yield worker


@pytest.fixture
async def callsheet(scheduler: RealScheduler, worker: RunningWorker, tmp_path: Path) -> CommandLine:
    """The command line, once the scheduler has heard of the worker's job types."""
    async with open_channel(scheduler.address) as channel:
        await Jobs(channel).known("talk")
    return CommandLine(tmp_path, scheduler=scheduler.address)


async def test_a_job_is_submitted_waited_for_and_shown(callsheet: CommandLine) -> None:
    ended = await callsheet.run("jobs", "submit", "count", "--param", "count_to=3", "--wait", "--json")
    refused = await callsheet.run("jobs", "submit", "count", "--param", "countTo=many")
    unknown = await callsheet.run("jobs", "submit", "juggle")

    assert (ended.code, refused.code, unknown.code) == (2, 2, 2)
    ended = await callsheet.run("jobs", "submit", "count", "--param", "countTo=3", "--wait", "--json")
    job = ended.document()
    assert ended.code == 0
    assert (job["state"], job["result"], job["params"]) == ("completed", {"counted": 3}, {"countTo": 3})

    shown = await callsheet.run("jobs", "show", str(job["id"]))
    assert "attempt 1   completed on " in shown.out
    log = await callsheet.run("jobs", "logs", str(job["id"]), "--follow")
    assert [line.rpartition("] ")[2][:8] for line in log.out.splitlines()] == [
        "number 1",
        "number 2",
        "number 3",
    ]
    assert "\x1b" not in log.out


async def test_a_failed_job_fails_the_command_and_can_be_retried(callsheet: CommandLine) -> None:
    ended = await callsheet.run("jobs", "submit", "faulty", "--max-retries", "0", "--wait", "--json")
    job_id = str(ended.document()["id"])

    assert ended.code == 1
    assert (await callsheet.run("jobs", "retry", job_id)).code == 0
    listed = await callsheet.run("jobs", "list", "--type", "faulty", "--json")
    assert [job["retry_count"] for job in listed.documents()] == [1]


def told(hours: Sequence[Mapping[str, object]], name: str) -> float:
    """Return the sum of a figure of some hours."""
    return sum(float(str(one[name] or 0)) for one in hours)


async def test_hours_tell_what_came_what_ended_and_how_long_it_waited(callsheet: CommandLine) -> None:
    await callsheet.run("jobs", "submit", "count", "--param", "countTo=3", "--wait")
    await callsheet.run("jobs", "submit", "faulty", "--max-retries", "0", "--wait")

    hours = (await callsheet.run("jobs", "hours", "--hours", "2", "--json")).documents()
    assert len(hours) == 2
    assert [told(hours, name) for name in ("created", "completed", "failed")] == [2, 1, 1]
    assert told(hours, "longest_wait_s") > 0
    counted = await callsheet.run("jobs", "hours", "--hours", "2", "--type", "count", "--json")
    assert told(counted.documents(), "created") == 1
    shown = await callsheet.run("jobs", "hours")
    assert len(shown.out.splitlines()) == 1 + 24
    assert (await callsheet.run("jobs", "hours", "--hours", "169")).code == 2


async def test_a_running_job_is_cancelled(callsheet: CommandLine, worker: RunningWorker) -> None:
    submitted = await callsheet.run("jobs", "submit", "patient")
    job_id = submitted.out.strip()
    await until(lambda: worker.patient.begun > 0)

    assert (await callsheet.run("jobs", "cancel", job_id)).code == 0
    assert (await callsheet.run("jobs", "logs", job_id, "--follow")).code == 0
    shown = await callsheet.run("jobs", "show", job_id, "--json")
    assert shown.document()["state"] == "cancelled"
    assert (await callsheet.run("jobs", "cancel", job_id)).code == 4
    assert worker.patient.cancelled == 1


async def test_a_log_is_followed_through_the_death_of_the_scheduler(
    callsheet: CommandLine, scheduler: RealScheduler, talk: Talk
) -> None:
    job_id = (await callsheet.run("jobs", "submit", "talk")).out.strip()
    await asyncio.wait_for(talk.begun.wait(), 30)
    following = await callsheet.start("jobs", "logs", job_id, "--follow")
    assert following.stdout is not None
    first = await asyncio.wait_for(following.stdout.readline(), 30)

    await scheduler.kill()
    await scheduler.start()
    talk.go_on.set()
    rest, errors = await asyncio.wait_for(following.communicate(), 60)

    assert [line[-4:] for line in (first, *rest.splitlines(keepends=True))] == [b"one\n", b"two\n"]
    assert errors == b""
    assert following.returncode == 0


async def test_a_submission_waits_out_a_short_absence_of_the_scheduler(
    callsheet: CommandLine, scheduler: RealScheduler
) -> None:
    await scheduler.kill()
    submitting = asyncio.create_task(callsheet.run("jobs", "submit", "noop"))
    await scheduler.start()
    ended = await submitting

    assert ended.code == 0
    listed = await callsheet.run("jobs", "list", "--type", "noop", "--json")
    assert [job["id"] for job in listed.documents()] == [ended.out.strip()]


async def test_workers_and_what_they_can_do_are_listed(callsheet: CommandLine) -> None:
    [worker] = (await callsheet.run("fleet", "list", "--json")).documents()

    assert (worker["host"], worker["connected"], worker["slots"]) == ("atlas", True, 3)
    assert worker["roots"] == ["made"]
    assert worker["sandbox"] == strength()
    assert worker["sandbox_lacks"] == lacks(strength())
