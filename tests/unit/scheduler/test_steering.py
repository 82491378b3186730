"""What people ask of a job holds in every state, and whoever runs it says how it ended."""

import pytest
from callsheet_scheduler.domain.effects import (
    Brought,
    ChangeJob,
    Fate,
    Revocation,
    SendAck,
)
from callsheet_scheduler.domain.job import LEASED, JobState, WorkerId
from callsheet_scheduler.domain.outcome import Ending, Rung
from callsheet_scheduler.use_cases.waiting import queue_position

from tests.support.engines import (
    START,
    Drive,
    behind_a_full_worker,
    grant_of,
    in_state,
    new_job,
    revoked,
)

W1 = WorkerId("w1")

PENDING, QUEUED, RUNNING, PAUSED = JobState.PENDING, JobState.QUEUED, JobState.RUNNING, JobState.PAUSED


@pytest.mark.parametrize("state", [PENDING, PAUSED])
def test_cancelling_a_job_that_nobody_runs_ends_it_at_once(state: JobState) -> None:
    drive, job = in_state(state)
    drive.engine.cancel(job, by="ann", now=START)
    drive.settle()
    [finish] = drive.finished
    assert (finish.job, finish.was, finish.state) == (job, state, JobState.CANCELLED)
    assert (finish.mark, finish.rung) == ("--- JOB CANCELLED BY ANN ---", Rung.NONE)
    assert job.id not in drive.engine.queue.jobs
    drive.hello()
    assert drive.grants() == []


@pytest.mark.parametrize("state", [QUEUED, RUNNING])
@pytest.mark.parametrize("rung", [Rung.BEFORE_START, Rung.ASKED, Rung.TERMINATED, Rung.KILLED])
def test_rung_that_ended_a_cancelled_attempt_is_kept(state: JobState, rung: Rung) -> None:
    drive, job = in_state(state)
    grant = grant_of(drive)
    drive.engine.cancel(job, by="", now=START + 1)
    drive.settle()
    assert (revoked(drive), job.cancel_requested_at, job.state) == ([Revocation.CANCEL], START + 1, state)
    drive.fail(grant, Ending.CANCELLED, rung=rung)
    assert (drive.finished[-1].state, drive.finished[-1].rung) == (JobState.CANCELLED, rung)


def test_cancelling_twice_asks_once_and_keeps_the_first_instant() -> None:
    drive, job = in_state(RUNNING)
    for later in (1, 2):
        drive.engine.cancel(job, by="", now=START + later)
        drive.settle()
    assert (revoked(drive), job.cancel_requested_at) == ([Revocation.CANCEL], START + 1)


def test_cancelled_job_whose_worker_is_lost_ends_with_its_lease() -> None:
    drive, job = in_state(RUNNING)
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    drive.now = START + 31
    drive.engine.tick(drive.now)
    drive.settle()
    assert (drive.finished[-1].state, drive.finished[-1].rung) == (JobState.CANCELLED, Rung.LEASE_LOST)


def test_cancelled_job_whose_worker_never_had_it_ends_before_its_start() -> None:
    drive, job = in_state(QUEUED)
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    drive.engine.session_closed(W1, 1, START)
    drive.hello(session=2)
    assert (drive.finished[-1].state, drive.finished[-1].rung) == (JobState.CANCELLED, Rung.BEFORE_START)


def test_completion_that_comes_after_the_cancellation_does_not_count() -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    drive.complete(grant)
    assert drive.finished[-1].state is JobState.CANCELLED
    assert [one.fate for one in drive.sent if isinstance(one, SendAck)] == [Fate.REFUSED]


def test_completion_that_was_being_written_when_somebody_cancelled_counts() -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.completed(
        (WorkerId("w1"), grant.session),
        (job.id, grant.token),
        Brought(),
        span=(START, START),
    )
    assert job.busy
    drive.settle()
    assert drive.finished[-1].state is JobState.COMPLETED


def test_failure_of_a_job_that_was_asked_to_end_is_not_retried() -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.cancel(job, by="", now=START)
    drive.settle()
    drive.fail(grant, Ending.TRANSIENT)
    assert drive.finished[-1].state is JobState.CANCELLED
    assert drive.released == []


def test_paused_waiting_job_gets_no_lease_until_it_is_resumed() -> None:
    drive, job = in_state(PENDING)
    drive.engine.pause(job, START)
    drive.settle()
    drive.hello()
    assert (job.state, drive.grants()) == (PAUSED, [])
    drive.engine.resume(job)
    drive.settle()
    assert grant_of(drive).job is job


def test_pausing_a_paused_job_changes_nothing() -> None:
    drive, job = in_state(PAUSED)
    drive.engine.pause(job, START)
    assert (drive.engine.turn, job.busy) == ([], False)


def test_job_that_waits_for_an_instant_is_paused_and_waits_for_it_after_it_is_resumed() -> None:
    drive = Drive()
    job = new_job(drive.engine, run_at=START + 60)
    drive.submit(job)
    drive.hello()
    drive.engine.pause(job, START)
    drive.settle()
    drive.now = START + 20
    drive.engine.resume(job)
    drive.settle()
    assert (job.state, drive.grants()) == (PENDING, [])
    drive.now = START + 60
    drive.engine.heard(W1, load=0, now=drive.now)
    drive.engine.tick(drive.now)
    drive.settle()
    assert grant_of(drive).job is job


def test_instant_that_comes_while_a_job_is_paused_wakes_nobody() -> None:
    drive = Drive()
    job = new_job(drive.engine, run_at=START + 10)
    drive.submit(job)
    drive.hello()
    drive.engine.pause(job, START)
    drive.settle()
    drive.now = START + 15
    drive.engine.tick(drive.now)
    drive.settle()
    assert (job.state, drive.grants()) == (PAUSED, [])
    drive.engine.resume(job)
    drive.settle()
    assert grant_of(drive).job is job


@pytest.mark.parametrize("state", [QUEUED, RUNNING])
def test_running_job_is_paused_when_its_worker_kept_a_checkpoint(state: JobState) -> None:
    drive, job = in_state(state)
    grant = grant_of(drive)
    drive.engine.pause(job, START + 1)
    drive.settle()
    assert (revoked(drive), job.state, job.pause_requested_at) == ([Revocation.PAUSE], state, START + 1)
    drive.fail(grant, Ending.PAUSED, checkpoint='{"frame": 9}')
    [release] = drive.released
    assert (release.outcome, release.checkpoint) == ("paused", '{"frame": 9}')
    assert (job.state, job.pause_requested_at, job.retry_count, job.lost_count) == (PAUSED, None, 0, 0)
    drive.engine.resume(job)
    drive.settle()
    again = grant_of(drive)
    assert (again.job, again.attempt) == (job, 2)


@pytest.mark.parametrize("ending", [Ending.PAUSED, Ending.TRANSIENT, Ending.RETURNED, Ending.CAPACITY])
def test_pause_that_is_called_off_in_time_leaves_the_job_in_the_queue(ending: Ending) -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.pause(job, START)
    drive.settle()
    drive.engine.resume(job)
    drive.settle()
    assert (job.state, job.pause_requested_at) == (RUNNING, None)
    drive.fail(grant, ending)
    assert job.state in {PENDING, QUEUED}


@pytest.mark.parametrize("ending", [Ending.PAUSED, Ending.TRANSIENT, Ending.RETURNED, Ending.CAPACITY])
def test_job_that_was_asked_to_pause_is_paused_however_its_attempt_ends(ending: Ending) -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.pause(job, START)
    drive.settle()
    drive.fail(grant, ending)
    assert (job.state, drive.finished) == (PAUSED, [])


def test_job_that_was_asked_to_pause_and_lost_its_worker_is_paused() -> None:
    drive, job = in_state(RUNNING)
    drive.engine.pause(job, START)
    drive.settle()
    drive.now = START + 31
    drive.engine.tick(drive.now)
    drive.settle()
    drive.grants()
    drive.hello("w2", session=2)
    assert (job.state, job.lost_count, drive.grants()) == (PAUSED, 1, [])


def test_job_that_was_asked_to_pause_and_can_never_work_fails() -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    drive.engine.pause(job, START)
    drive.settle()
    drive.fail(grant, Ending.BAD_INPUT)
    assert drive.finished[-1].state is JobState.FAILED


@pytest.mark.parametrize("cancelled_first", [True, False])
@pytest.mark.parametrize("ending", [Ending.PAUSED, Ending.CANCELLED, Ending.LOST])
def test_cancellation_beats_a_pause_in_whichever_order_they_come(
    ending: Ending, *, cancelled_first: bool
) -> None:
    drive, job = in_state(RUNNING)
    grant = grant_of(drive)
    for step in ("cancel", "pause") if cancelled_first else ("pause", "cancel"):
        if step == "cancel":
            drive.engine.cancel(job, by="", now=START)
        else:
            drive.engine.pause(job, START)
        drive.settle()
    assert revoked(drive)[-1] is Revocation.CANCEL
    drive.fail(grant, ending)
    assert drive.finished[-1].state is JobState.CANCELLED


def test_worker_that_comes_back_with_its_lease_is_told_again_what_was_asked() -> None:
    drive, job = in_state(RUNNING)
    drive.engine.session_closed(W1, 1, START)
    drive.engine.pause(job, START)
    drive.settle()
    assert revoked(drive) == []
    drive.hello(session=2, held=[(job.id, job.token)])
    assert revoked(drive) == [Revocation.PAUSE]


def test_lease_that_a_worker_gives_up_while_a_change_is_being_written_goes_back() -> None:
    """The worker comes back without the job in the instant in which its new priority is committed."""
    drive, job = in_state(RUNNING)
    drive.grants()
    drive.engine.prioritize(job, 1)
    drive.engine.session_closed(W1, 1, START)
    drive.hello(session=2)
    again = grant_of(drive)
    assert (again.job, again.attempt, again.session) == (job, 2, 2)


def test_lease_of_a_worker_that_says_goodbye_while_a_change_is_being_written_is_returned() -> None:
    drive, job = in_state(RUNNING)
    drive.engine.prioritize(job, 1)
    drive.engine.goodbye(W1, 1, START)
    drive.settle()
    assert (job.state, job.lost_count) == (PENDING, 0)
    assert [release.outcome for release in drive.released] == ["returned"]


@pytest.mark.parametrize("state", [PENDING, QUEUED, RUNNING, PAUSED])
def test_priority_is_changed_in_every_state_that_is_not_final(state: JobState) -> None:
    drive, job = in_state(state)
    drive.engine.prioritize(job, 1)
    [change] = drive.engine.turn
    assert isinstance(change, ChangeJob)
    assert (change.priority, change.was) == (1, QUEUED if state in LEASED else state)
    assert change.state is change.was
    drive.settle()
    assert (job.priority, job.state, revoked(drive)) == (1, state, [])


def test_same_priority_again_writes_nothing() -> None:
    drive, job = in_state(PENDING)
    drive.engine.prioritize(job, job.priority)
    assert drive.engine.turn == []


def test_reprioritised_job_goes_first_and_what_runs_goes_on() -> None:
    drive = Drive()
    waiting = behind_a_full_worker(drive, jobs=3)
    drive.engine.prioritize(waiting[2], 1)
    drive.settle()
    assert (drive.released, revoked(drive)) == ([], [])
    assert [queue_position(drive.engine, job, START) for job in waiting] == [2, 3, 1]
    drive.engine.credit(W1, 1, START)
    drive.engine.plan(START)
    drive.settle()
    assert grant_of(drive).job is waiting[2]


def test_job_that_is_being_changed_is_not_granted_meanwhile() -> None:
    drive = Drive()
    [job] = behind_a_full_worker(drive)
    drive.engine.prioritize(job, 1)
    drive.engine.credit(W1, 1, START)
    drive.engine.plan(START)
    assert (job.state, len(drive.engine.turn)) == (PENDING, 1)
    drive.settle()
    assert grant_of(drive).job is job


def test_revived_job_is_granted_as_its_next_attempt() -> None:
    drive = Drive()
    job = new_job(drive.engine, attempt=4, retry_count=4)
    drive.engine.revive(job, JobState.FAILED, START)
    drive.settle()
    drive.hello()
    assert grant_of(drive).attempt == 5
