"""The engine keeps its promises, whatever happens in which order."""

from collections import Counter

import pytest
from callsheet_scheduler.domain.effects import Brought, Fate, LookUp, NewRow, SendAck, SendGrant, SendRevoke
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LEASED, LOST_MAX, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.domain.rules import Rules
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engines import START, Drive, new_job


def test_job_for_a_free_slot_is_inserted_already_leased() -> None:
    drive = Drive()
    drive.hello()
    job = new_job(drive.engine)
    drive.engine.submit(1, [NewRow(job=job, params="{}")], START)
    assert job.state is JobState.QUEUED
    assert not drive.engine.turn
    drive.settle()
    assert [grant.job for grant in drive.grants()] == [job]


def test_no_message_leaves_before_the_commit_it_speaks_of() -> None:
    drive = Drive()
    drive.hello()
    drive.engine.submit(1, [NewRow(job=new_job(drive.engine), params="{}")], START)
    assert not drive.engine.messages


def test_more_urgent_job_is_granted_first_and_equal_ones_in_order_of_arrival() -> None:
    drive = Drive()
    late, first, second = (
        new_job(drive.engine, priority=9),
        new_job(drive.engine, priority=2),
        new_job(drive.engine, priority=2),
    )
    drive.submit(late, first, second)
    drive.hello(slots=1)
    order: list[LiveJob] = []
    for _ in range(3):
        (grant,) = drive.grants()
        order.append(grant.job)
        drive.complete(grant)
    assert order == [first, second, late]


def test_least_urgent_job_reaches_the_front_in_a_bounded_time() -> None:
    drive = Drive()
    old = new_job(drive.engine, priority=10)
    urgent = new_job(drive.engine, priority=1, at=START + 9.5 * 3600)
    drive.submit(urgent, old)
    drive.hello(slots=1)
    assert [grant.job for grant in drive.grants()] == [old]


def test_host_limit_holds_over_all_workers_of_a_host() -> None:
    drive = Drive(engine=Engine(term=1, rules=Rules(host_limits=dict.fromkeys(SCOPE_OF.values(), 3))))
    drive.submit(*(new_job(drive.engine) for _ in range(10)))
    drive.hello("w1", session=1)
    drive.hello("w2", session=2)
    assert len(drive.grants()) == 3
    drive.hello("w3", session=3, host="other")
    assert len(drive.grants()) == 3


def test_type_that_nobody_handles_blocks_no_other() -> None:
    drive = Drive()
    drive.submit(new_job(drive.engine, type="validate", priority=1), new_job(drive.engine))
    drive.hello()
    assert [grant.job.type for grant in drive.grants()] == ["scan"]


def test_failed_attempt_goes_again_after_its_backoff_and_fails_for_good_in_the_end() -> None:
    drive = Drive()
    job = new_job(drive.engine, max_retries=1)
    drive.hello()
    drive.submit(job)
    drive.fail(drive.grants()[0], Ending.TRANSIENT)
    assert job.state is JobState.PENDING
    assert job.retry_after is not None
    assert 120 <= job.retry_after - START <= 126
    drive.engine.tick(START + 119)
    drive.settle()
    assert not drive.grants()
    drive.now = START + 130
    drive.engine.heard(WorkerId("w1"), load=0, now=drive.now)
    drive.engine.tick(drive.now)
    drive.settle()
    (grant,) = drive.grants()
    assert grant.attempt == 2
    drive.fail(grant, Ending.TRANSIENT)
    assert drive.finished[-1].state is JobState.FAILED


def test_bad_input_is_never_retried() -> None:
    drive = Drive()
    drive.hello()
    drive.submit(new_job(drive.engine))
    drive.fail(drive.grants()[0], Ending.BAD_INPUT)
    assert (drive.finished[-1].state, drive.finished[-1].error) == (JobState.FAILED, "it broke")


def test_silent_worker_loses_its_lease_and_its_late_result_is_stale() -> None:
    drive = Drive()
    drive.hello("w1")
    job = new_job(drive.engine)
    drive.submit(job)
    (old,) = drive.grants()
    drive.now = START + 31
    drive.engine.tick(drive.now)
    drive.settle()
    drive.hello("w2", session=2)
    (new,) = drive.grants()
    assert new.job is job
    assert new.token > old.token
    drive.complete(old)
    acks = [message.fate for message in drive.sent if isinstance(message, SendAck)]
    assert acks == [Fate.STALE]
    assert job.state in LEASED


def test_job_that_loses_three_workers_in_a_row_is_poison() -> None:
    drive = Drive()
    job = new_job(drive.engine)
    drive.submit(job)
    for number in range(LOST_MAX):
        drive.hello(f"w{number}", session=number + 1)
        assert drive.grants()
        drive.now += 31
        drive.engine.tick(drive.now)
        drive.settle()
    assert drive.finished[-1].state is JobState.FAILED
    assert drive.finished[-1].error is not None
    assert "3 workers in a row" in drive.finished[-1].error


def test_worker_that_reconnects_in_time_keeps_its_lease() -> None:
    drive = Drive()
    drive.hello("w1", session=1)
    job = new_job(drive.engine)
    drive.submit(job)
    (grant,) = drive.grants()
    drive.engine.session_closed(WorkerId("w1"), 1, drive.now)
    stale = drive.hello("w1", session=2, held=[(job.id, grant.token)])
    assert stale == []
    assert not drive.released
    drive.complete(grant)
    assert drive.finished[-1].state is JobState.COMPLETED


def test_grant_that_never_reached_its_worker_is_given_again_without_a_count() -> None:
    drive = Drive()
    drive.hello("w1", session=1)
    job = new_job(drive.engine)
    drive.submit(job)
    drive.grants()
    drive.engine.session_closed(WorkerId("w1"), 1, drive.now)
    drive.hello("w1", session=2)
    (again,) = drive.grants()
    assert (again.attempt, job.lost_count, job.retry_count) == (2, 0, 0)


def test_new_leader_gives_leased_jobs_a_full_ttl_to_be_named() -> None:
    drive = Drive()
    drive.hello("w1")
    job = new_job(drive.engine)
    drive.submit(job)
    (grant,) = drive.grants()
    next_drive = Drive(engine=Engine(term=2, rules=Rules()), now=START + 100)
    next_drive.engine.restore(job, next_drive.now)
    next_drive.engine.tick(START + 129)
    next_drive.settle()
    assert not next_drive.released
    assert next_drive.hello("w1", session=1, held=[(job.id, grant.token)]) == []
    next_drive.complete(grant)
    assert next_drive.finished[-1].state is JobState.COMPLETED


def test_cancelled_pending_job_never_starts() -> None:
    drive = Drive()
    job = new_job(drive.engine)
    drive.submit(job)
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    drive.hello()
    assert not drive.grants()
    assert drive.finished[-1].state is JobState.CANCELLED


def test_cancel_of_a_running_job_is_asked_of_its_worker_and_confirmed_by_it() -> None:
    drive = Drive()
    drive.hello()
    job = new_job(drive.engine)
    drive.submit(job)
    (grant,) = drive.grants()
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    assert [message.job_id for message in drive.sent if isinstance(message, SendRevoke)] == [job.id]
    assert job.state in LEASED
    drive.fail(grant, Ending.CANCELLED)
    assert drive.finished[-1].state is JobState.CANCELLED


def test_repeated_result_while_the_first_is_being_written_is_looked_up_afterwards() -> None:
    drive = Drive()
    drive.hello()
    job = new_job(drive.engine)
    drive.submit(job)
    (grant,) = drive.grants()
    for _ in range(2):
        drive.engine.completed(
            (WorkerId("w1"), 1),
            (job.id, grant.token),
            Brought(),
            span=(START, START),
        )
    drive.settle()
    assert len(drive.finished) == 1
    assert Counter(type(message).__name__ for message in drive.sent) == {"SendAck": 1, "LookUp": 1}


@pytest.mark.parametrize("slots", [0, 1])
def test_lease_of_a_done_job_is_not_stale_while_its_job_is_submitted_once_more(slots: int) -> None:
    """Whether its id is in history shows when the insertion is refused; the new one may be leased already."""
    drive = Drive(engine=Engine(term=2, rules=Rules()), slow=True)
    drive.hello("w2", session=2, slots=slots)
    job, token = new_job(drive.engine), Token(1 << 32)
    drive.submit(job)
    assert drive.hello(held=[(job.id, token)]) == []
    drive.engine.completed((WorkerId("w1"), 1), (job.id, token), Brought(), span=(START, START))
    assert drive.engine.messages == []

    (insertion,) = drive.engine.intake
    drive.engine.insert_refused(insertion, START, {job.id: JobState.COMPLETED})

    drive.settle()
    assert [type(message) for message in drive.sent] == [LookUp]


ACTIONS = st.sampled_from(["submit", "complete", "fail", "lose", "hello", "drop", "cancel", "later"])


@settings(max_examples=150)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 7)), max_size=60))
def test_limits_hold_and_no_job_is_lost_or_doubled_whatever_happens(steps: list[tuple[str, int]]) -> None:
    drive = Drive(engine=Engine(term=1, rules=Rules(host_limits=dict.fromkeys(SCOPE_OF.values(), 2))))
    accepted: list[LiveJob] = []
    open_grants: list[SendGrant] = []
    session = 0
    for action, choice in steps:
        match action:
            case "submit":
                accepted.append(new_job(drive.engine, at=drive.now, priority=choice + 1))
                drive.submit(accepted[-1])
            case "hello":
                session += 1
                drive.hello(f"w{choice % 3}", session=session, host=f"h{choice % 2}", slots=3)
            case "complete" if open_grants:
                drive.complete(open_grants[choice % len(open_grants)], f"w{choice % 3}")
            case "fail" if open_grants:
                drive.fail(open_grants[choice % len(open_grants)], Ending.TRANSIENT, f"w{choice % 3}")
            case "drop":
                worker = drive.engine.fleet.workers.get(WorkerId(f"w{choice % 3}"))
                if worker is not None and worker.session is not None:
                    drive.engine.session_closed(worker.capability.id, worker.session, drive.now)
            case "cancel" if accepted and accepted[choice % len(accepted)].id in drive.engine.queue.jobs:
                drive.engine.cancel(accepted[choice % len(accepted)], by="", now=drive.now)
            case "later" | "lose":
                drive.now += 200.0 if action == "lose" else 5.0
                drive.engine.tick(drive.now)
            case _:
                pass
        drive.settle()
        open_grants += drive.grants()
        check_laws(drive, accepted)


def check_laws(drive: Drive, accepted: list[LiveJob]) -> None:
    """Every accepted job is live or finished once; limits hold; accounts are the sum of leases."""
    live = set(drive.engine.queue.jobs)
    done = [effect.job.id for effect in drive.finished]
    assert len(done) == len(set(done))
    assert live.isdisjoint(done)
    assert live | set(done) == {job.id for job in accepted}
    leased = [job for job in drive.engine.queue.jobs.values() if job.state in LEASED]
    running = Counter((job.host, job.category) for job in leased)
    for (host, category), jobs in running.items():
        assert host is not None
        assert jobs <= drive.engine.rules.host_limits[SCOPE_OF[category]]
        assert drive.engine.fleet.running_on(host, SCOPE_OF[category]) == jobs
    held = {job_id for worker in drive.engine.fleet.workers.values() for job_id in worker.leases}
    assert held == {job.id for job in leased}
    counted = Counter((job.state, job.type, job.category) for job in drive.engine.queue.jobs.values())
    assert counted == drive.engine.queue.counts
    waiting = sum(len(lane) for lane in drive.engine.queue.lanes.values())
    assert waiting <= len(live) - len(leased)
