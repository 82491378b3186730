"""Schedules on a real database: each tick gives one job, whoever leads and whatever was lost."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.schedules import CatchUp, Schedule, Template
from callsheet_scheduler.store.job_lists import JobFilter
from callsheet_scheduler.use_cases.cron import Cron
from callsheet_scheduler.use_cases.schedules import SCHEDULES_MAX, Schedules, Wanted

from callsheet.errors import ConflictError, InvalidError, NotFoundError, OverloadedError
from tests.support.leader import Leader, leader

SCAN = Template(
    type="public_scan",
    params='{"directoryType": "a"}',
    priority=8,
    interactive=False,
    vram_mib=None,
    max_retries=2,
)
HOURLY = Wanted(cron="0 * * * *", time_zone="Europe/Berlin", template=SCAN)
HOUR = timedelta(hours=1)


class Keeping:
    """A leader who keeps schedules; its clock moves when the test says so."""

    def __init__(self, queue: Leader) -> None:
        self.queue = queue
        self.schedules = Schedules(queue.leadership, queue.jobs)
        self.cron = Cron(queue.leadership, queue.jobs)

    def get(self, name: str = "hourly") -> Schedule:
        return self.schedules.get(name)[0]

    def next_tick(self, name: str = "hourly") -> datetime:
        """When the schedule is next due."""
        due = self.schedules.get(name)[1]
        assert due is not None
        return datetime.fromtimestamp(due, UTC)

    async def at(self, instant: datetime) -> None:
        """Fire what is due a second after *instant*."""
        self.queue.clock.ahead += instant + timedelta(seconds=1) - self.queue.now()
        await self.cron.fire()

    async def jobs(self) -> list[JobId]:
        """Every job there is, oldest first."""
        page = await self.queue.views.page(JobFilter(), size=200, after="", skip=0)
        return sorted(JobId(view.row.id) for view in page.jobs)


@pytest.fixture
async def keeping(fresh_dsn: str) -> AsyncIterator[Keeping]:
    async with leader(fresh_dsn) as queue:
        yield Keeping(queue)


def instant_of(job_id: JobId) -> datetime:
    return datetime.fromtimestamp(int(job_id[:8] + job_id[9:13], 16) / 1000, UTC)


async def test_due_tick_gives_one_job_and_the_next_leader_gives_no_other(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as queue:
        keeping = Keeping(queue)
        await keeping.schedules.add("hourly", HOURLY)
        await keeping.cron.fire()
        assert await keeping.jobs() == []
        due = keeping.next_tick()
        await keeping.at(due)
        await keeping.cron.fire()
        [job_id] = await keeping.jobs()
        assert (instant_of(job_id), keeping.get().last_job_id) == (due, job_id)
        assert keeping.next_tick() == due + HOUR
        job = (await queue.views.job(job_id)).row
        assert (job.type, job.priority, job.max_retries) == ("public_scan", 8, 2)
        kept, moment = keeping.get(), queue.now()
    async with leader(fresh_dsn) as queue:
        again = Keeping(queue)
        assert again.get() == kept
        await again.at(moment)
        assert await again.jobs() == [job_id]


async def test_firing_that_was_cut_off_is_repeated_as_the_same_submission(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    """The leader dies after the submission, before it could write that the tick is decided."""
    async with leader(fresh_dsn) as queue:
        keeping = Keeping(queue)
        await keeping.schedules.add("hourly", replace(HOURLY, catch_up=CatchUp.ALL))
        added = keeping.get()
        await keeping.at(keeping.next_tick() + 40 * HOUR)
        jobs = await keeping.jobs()
        assert len(jobs) == 10
        moment = queue.now()
        began_at = moment.timestamp()
        assert {instant_of(job_id) > queue.now() - 24 * HOUR for job_id in jobs} == {True}
        await db_writer.execute(
            "UPDATE schedule SET decided_at = $1, firing_at = $2, last_tick = NULL, last_job_id = NULL",
            added.decided_at,
            began_at,
        )
    async with leader(fresh_dsn) as queue:
        again = Keeping(queue)
        assert again.get().firing_at == began_at
        await again.at(moment)
        assert await again.jobs() == jobs
        assert again.get().firing_at is None
        assert again.get().last_job_id == jobs[-1]


@pytest.mark.parametrize(("catch_up", "count"), [(CatchUp.NONE, 0), (CatchUp.LAST, 1), (CatchUp.ALL, 4)])
async def test_runs_missed_for_days_are_caught_up_as_wanted(
    keeping: Keeping, catch_up: CatchUp, count: int
) -> None:
    wanted = Wanted(cron="0 3 * * *", catch_up=catch_up, catch_up_max=4, template=SCAN)
    await keeping.schedules.add("daily", wanted)
    newest = keeping.next_tick("daily") + timedelta(days=4)
    await keeping.at(newest + 12 * HOUR)
    await keeping.cron.fire()
    assert len(await keeping.jobs()) == count
    assert keeping.next_tick("daily") == newest + timedelta(days=1)
    assert keeping.get("daily").last_tick == (newest.timestamp() if count else None)


async def test_jitter_delays_a_job_by_as_much_for_every_leader(keeping: Keeping) -> None:
    wanted = replace(HOURLY, jitter_s=1800.0, time_zone="UTC")
    await keeping.schedules.add("hourly", wanted)
    due = keeping.next_tick()
    tick = due.replace(minute=0, second=0, microsecond=0)
    assert tick < due < tick + HOUR / 2
    await keeping.at(tick)
    assert await keeping.jobs() == []
    await keeping.at(due)
    [job_id] = await keeping.jobs()
    assert instant_of(job_id) == tick


async def test_paused_schedule_submits_nothing_and_catches_nothing_up(keeping: Keeping) -> None:
    await keeping.schedules.add("hourly", replace(HOURLY, catch_up=CatchUp.ALL))
    first = keeping.next_tick()
    await keeping.schedules.pause("hourly")
    assert keeping.schedules.get("hourly")[1] is None
    await keeping.at(first + 2 * HOUR)
    await keeping.schedules.resume("hourly")
    await keeping.cron.fire()
    assert await keeping.jobs() == []
    assert keeping.next_tick() == first + 3 * HOUR


async def test_run_now_submits_beside_the_ticks(keeping: Keeping) -> None:
    await keeping.schedules.add("hourly", HOURLY)
    await keeping.schedules.pause("hourly")
    accepted = await keeping.schedules.run("hourly", "")
    assert await keeping.jobs() == [accepted.id]
    again = await keeping.schedules.run("hourly", accepted.id)
    assert (again.id, again.existed) == (accepted.id, True)
    assert keeping.get().last_job_id == accepted.id
    assert keeping.get().last_tick is None


async def test_changed_schedule_goes_by_its_new_times_and_job(keeping: Keeping) -> None:
    await keeping.schedules.add("hourly", HOURLY)
    await keeping.schedules.change("hourly", Wanted(template=replace(SCAN, priority=1)))
    await keeping.at(keeping.next_tick())
    [job_id] = await keeping.jobs()
    assert (await keeping.queue.views.job(job_id)).row.priority == 1
    await keeping.schedules.change("hourly", Wanted(cron="30 * * * *"))
    assert keeping.next_tick().minute == 30
    assert keeping.get().template.priority == 1
    with pytest.raises(InvalidError) as caught:
        await keeping.schedules.change("hourly", Wanted(time_zone="Mars"))
    assert caught.value.field == "time_zone"
    assert keeping.get().time_zone == "Europe/Berlin"


async def test_removed_schedule_is_gone_for_the_next_leader_too(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as queue:
        keeping = Keeping(queue)
        await keeping.schedules.add("hourly", HOURLY)
        assert await keeping.schedules.remove("hourly")
        assert not await keeping.schedules.remove("hourly")
        await keeping.at(queue.now() + 2 * HOUR)
        assert await keeping.jobs() == []
    async with leader(fresh_dsn) as queue:
        assert Keeping(queue).schedules.all() == []
        with pytest.raises(NotFoundError, match="no schedule 'hourly'"):
            await Keeping(queue).schedules.run("hourly", "")


async def test_job_that_its_type_takes_no_longer_is_told_and_the_next_tick_tries_again(
    keeping: Keeping,
) -> None:
    known = next(one for one in keeping.queue.types.all() if one.name == "public_scan")
    await keeping.schedules.add("hourly", HOURLY)
    keeping.queue.types.learn(replace(known, params_schema='{"required": ["shelf"]}'))
    await keeping.at(keeping.next_tick())
    assert await keeping.jobs() == []
    assert keeping.get().error == "params.shelf: is required"
    keeping.queue.types.learn(known)
    await keeping.at(keeping.next_tick())
    assert len(await keeping.jobs()) == 1
    assert keeping.get().error is None


async def test_run_waits_for_no_run_before_it_but_is_left_out_where_a_unique_key_says_so(
    keeping: Keeping,
) -> None:
    await keeping.schedules.add("hourly", replace(HOURLY, template=replace(SCAN, unique_key="scan")))
    await keeping.at(keeping.next_tick())
    [first] = await keeping.jobs()
    await keeping.at(keeping.next_tick())
    assert await keeping.jobs() == [first]
    assert keeping.get().error == f"the job {first} of its unique key is not final yet"
    await keeping.queue.finish(first)
    await keeping.at(keeping.next_tick())
    assert len(await keeping.jobs()) == 2
    assert keeping.get().error is None


@pytest.mark.parametrize(
    ("name", "wanted", "field"),
    [
        ("No Name", HOURLY, "name"),
        ("a", Wanted(cron="0 * * * *"), "job"),
        ("a", replace(HOURLY, cron="x"), "cron"),
        ("a", replace(HOURLY, jitter_s=-1.0), "jitter"),
        ("a", replace(HOURLY, jitter_s=90_000.0), "jitter"),
        ("a", replace(HOURLY, catch_up_max=101), "catch_up_max"),
        ("a", replace(HOURLY, template=replace(SCAN, type="nothing")), "job.type"),
        (
            "a",
            replace(HOURLY, template=replace(SCAN, params='{"directoryType": 4}')),
            "job.params.directoryType",
        ),
        ("a", replace(HOURLY, template=replace(SCAN, priority=11)), "job.priority"),
        ("a", replace(HOURLY, template=replace(SCAN, max_retries=99)), "job.max_retries"),
    ],
)
async def test_schedule_is_checked_when_it_is_saved(
    keeping: Keeping, name: str, wanted: Wanted, field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await keeping.schedules.add(name, wanted)
    assert caught.value.field == field
    assert keeping.schedules.all() == []


async def test_name_belongs_to_one_schedule(keeping: Keeping) -> None:
    await keeping.schedules.add("hourly", HOURLY)
    added = keeping.get()
    await keeping.schedules.add("hourly", HOURLY)
    assert keeping.get() == added
    with pytest.raises(ConflictError, match="another schedule 'hourly'"):
        await keeping.schedules.add("hourly", replace(HOURLY, cron="1 * * * *"))


async def test_schedules_are_as_many_as_allowed(keeping: Keeping) -> None:
    timetable = keeping.queue.term.timetable
    await keeping.schedules.add("first", HOURLY)
    for number in range(SCHEDULES_MAX - 1):
        timetable.put(replace(keeping.get("first"), name=f"n{number}"))
    with pytest.raises(OverloadedError, match="1000 schedules"):
        await keeping.schedules.add("last", HOURLY)
