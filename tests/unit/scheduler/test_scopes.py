"""Paused scopes get no lease, limits hold for every scope, host and the fleet; what runs goes on."""

from collections import Counter

import pytest
from callsheet_scheduler.domain.effects import (
    NewRow,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobState, Token, WorkerId
from callsheet_scheduler.domain.limits import ALL, Limits, Scope
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.use_cases.waiting import waiting_reason

from callsheet.catalog import Category
from tests.support.engines import (
    CPU,
    SCAN,
    SCOPES,
    START,
    Drive,
    grant_of,
    in_state,
    new_job,
    revoked,
)

W1 = WorkerId("w1")

PENDING, QUEUED, RUNNING = JobState.PENDING, JobState.QUEUED, JobState.RUNNING


@pytest.mark.parametrize("scope", SCOPES)
def test_paused_scope_gets_no_lease_and_interrupts_nothing(scope: Scope) -> None:
    drive = Drive()
    drive.hello(types=["scan"])
    running = new_job(drive.engine)
    drive.submit(running)
    grant = grant_of(drive)
    drive.pause_scope(scope)
    waiting = new_job(drive.engine, priority=1)
    drive.submit(waiting)
    drive.complete(grant)
    assert (waiting.state, drive.grants(), revoked(drive)) == (PENDING, [], [])
    assert drive.finished[-1].state is JobState.COMPLETED
    name = "everything" if scope == ALL else scope
    assert waiting_reason(drive.engine, waiting, START) == f"Paused: {name}"
    drive.engine.resume_scope(scope, START)
    drive.settle()
    assert grant_of(drive).job is waiting


def test_paused_type_holds_no_other_type_back() -> None:
    drive = Drive()
    drive.pause_scope(SCAN)
    drive.hello(types=["scan", "validate"])
    drive.submit(new_job(drive.engine), new_job(drive.engine, type="validate", priority=10))
    assert [grant.job.type for grant in drive.grants()] == ["validate"]


def test_paused_category_holds_no_other_category_back() -> None:
    drive = Drive()
    drive.pause_scope(CPU)
    drive.hello(types=["scan", "tag_generation"], software_gpu=True)
    drive.submit(
        new_job(drive.engine), new_job(drive.engine, type="tag_generation", category=Category.GPU_AI)
    )
    assert [grant.job.category for grant in drive.grants()] == [Category.GPU_AI]


def test_scope_stays_held_until_its_last_pause_ends() -> None:
    drive = Drive()
    job = new_job(drive.engine)
    for scope in SCOPES:
        drive.pause_scope(scope)
    drive.submit(job)
    drive.hello()
    for scope, reason in zip(SCOPES, ("Paused: cpu", "Paused: scan", ""), strict=True):
        assert job.state is PENDING
        drive.engine.resume_scope(scope, START)
        drive.settle()
        assert waiting_reason(drive.engine, job, START) == reason
    assert job.state is QUEUED


def test_lease_that_was_being_written_when_its_scope_was_paused_still_goes_out() -> None:
    drive = Drive()
    drive.hello()
    job = new_job(drive.engine)
    drive.engine.submit(1, [NewRow(job=job, params="{}")], START)
    drive.pause_scope(ALL)
    drive.settle()
    assert grant_of(drive).job is job


def test_paused_scope_and_a_retry_meet_in_the_middle() -> None:
    """A job that fails while its scope is paused waits for both."""
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.pause_scope(SCAN)
    drive.fail(grant, Ending.CAPACITY)
    assert waiting_reason(drive.engine, job, START) == "Paused: scan"
    drive.engine.resume_scope(SCAN, START)
    drive.settle()
    assert waiting_reason(drive.engine, job, START).startswith("Retry 0 of 3 at ")
    assert job.state is PENDING


@pytest.mark.parametrize("scope", SCOPES)
def test_limit_per_host_holds_for_each_host_and_scope(scope: Scope) -> None:
    drive = Drive()
    drive.limit(host={scope: 2})
    drive.submit(*(new_job(drive.engine) for _ in range(9)))
    for number, host in enumerate(("atlas", "atlas", "boreas"), 1):
        drive.hello(f"w{number}", session=number, host=host)
    hosts = Counter(grant.job.host for grant in drive.grants())
    assert hosts == {"atlas": 2, "boreas": 2}
    waiting = next(job for job in drive.engine.queue.jobs.values() if job.state is PENDING)
    counted = "jobs" if scope == ALL else f"{scope} jobs"
    reason = f"The limit of 2 {counted} per host is reached on atlas, boreas"
    assert waiting_reason(drive.engine, waiting, START) == reason


@pytest.mark.parametrize("scope", SCOPES)
def test_limit_of_the_fleet_holds_over_all_hosts(scope: Scope) -> None:
    drive = Drive()
    drive.limit(fleet={scope: 3})
    drive.submit(*(new_job(drive.engine) for _ in range(9)))
    for number, host in enumerate(("atlas", "boreas", "cronos"), 1):
        drive.hello(f"w{number}", session=number, host=host)
    grants = drive.grants()
    assert len(grants) == 3
    waiting = next(job for job in drive.engine.queue.jobs.values() if job.state is PENDING)
    counted = "jobs" if scope == ALL else f"{scope} jobs"
    reason = f"The limit of 3 {counted} in the whole fleet is reached"
    assert waiting_reason(drive.engine, waiting, START) == reason
    drive.complete(grants[0])
    assert len(drive.grants()) == 1


def test_lower_limit_interrupts_nothing_and_holds_at_once() -> None:
    drive = Drive()
    jobs = [new_job(drive.engine) for _ in range(6)]
    drive.submit(*jobs)
    drive.hello()
    grants = drive.grants()
    assert len(grants) == 5
    drive.limit(host={CPU: 2})
    assert (revoked(drive), drive.released) == ([], [])
    for grant in grants[:3]:
        drive.complete(grant)
        assert drive.grants() == []
    drive.complete(grants[3])
    assert grant_of(drive).job is jobs[5]


def test_higher_limit_grants_at_once_and_a_lifted_one_is_the_default_again() -> None:
    drive = Drive()
    drive.limit(host={CPU: 0, SCAN: 2})
    drive.submit(*(new_job(drive.engine) for _ in range(20)))
    drive.hello(slots=20)
    assert drive.grants() == []
    drive.limit(host={SCAN: 2})
    assert len(drive.grants()) == 2
    drive.limit()
    assert len(drive.grants()) == 3
    drive.limit(host={CPU: 9})
    assert len(drive.grants()) == 4


def test_limited_type_lets_the_next_type_pass() -> None:
    drive = Drive()
    drive.limit(fleet={SCAN: 1})
    drive.hello(types=["scan", "validate"])
    drive.submit(
        *(new_job(drive.engine, priority=1) for _ in range(3)), new_job(drive.engine, type="validate")
    )
    assert Counter(grant.job.type for grant in drive.grants()) == {"scan": 1, "validate": 1}


def test_limits_count_leases_that_a_new_leader_took_over() -> None:
    drive, job = in_state(RUNNING)
    after = Drive(engine=Engine(term=2, rules=Rules()))
    after.engine.restore(job, START)
    after.engine.restore_controls(
        pauses=[], limits=Limits(fleet={SCAN: 1}), drained={}, outputs=[], now=START
    )
    after.hello(held=[(job.id, job.token)])
    after.submit(new_job(after.engine))
    assert (after.grants(), after.engine.fleet.running(SCAN)) == ([], 1)
    assert drive.engine.fleet.running_on("atlas", CPU) == after.engine.fleet.running_on("atlas", CPU) == 1


def test_leases_of_a_worker_that_moved_are_counted_where_they_began() -> None:
    """A new leader reads leases that one identity took on two hosts, and counts each once."""
    engine = Engine(term=2, rules=Rules())
    jobs = [new_job(engine, state=QUEUED, worker_id=W1, host=host, token=Token(1)) for host in ("a", "b")]
    for job in jobs:
        engine.restore(job, START)
    assert [engine.fleet.running_on(host, CPU) for host in ("a", "b")] == [1, 1]
    for job in jobs:
        engine.fleet.release(job)
    assert [engine.fleet.running_on(host, CPU) for host in ("a", "b")] == [0, 0]
    assert engine.fleet.running(CPU) == 0
