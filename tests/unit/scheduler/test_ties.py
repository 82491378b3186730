"""Jobs that need others start after them, or end with them; circles are found."""

import pytest
from callsheet_scheduler.domain.effects import Brought, FinishJob, NewRow
from callsheet_scheduler.domain.job import IfFails, JobId, JobState, LiveJob, Ties, WorkerId
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.domain.ties import circle
from callsheet_scheduler.use_cases.waiting import queue_position, waiting_reason
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engines import Drive, new_job


def needing(drive: Drive, *needed: LiveJob, if_fails: IfFails = IfFails.FAIL) -> LiveJob:
    """Return a fresh job that needs others, all of which are live."""
    ids = tuple(job.id for job in needed)
    return new_job(drive.engine, ties=Ties(needs=ids, if_fails=if_fails, open=set(ids)))


def test_job_starts_when_all_that_it_needs_are_completed() -> None:
    drive = Drive()
    first, second = new_job(drive.engine), new_job(drive.engine)
    last = needing(drive, first, second)
    drive.submit(last, first, second)
    drive.hello()

    grants = drive.grants()
    assert [grant.job for grant in grants] == [first, second]
    assert waiting_reason(drive.engine, last, drive.now) == "Waiting for 2 jobs"
    assert queue_position(drive.engine, last, drive.now) == 0
    drive.complete(grants[0])
    assert not drive.grants()
    assert waiting_reason(drive.engine, last, drive.now) == "Waiting for 1 job"
    drive.complete(grants[1])
    assert [grant.job for grant in drive.grants()] == [last]


@pytest.mark.parametrize(
    ("if_fails", "state"), [(IfFails.FAIL, JobState.FAILED), (IfFails.CANCEL, JobState.CANCELLED)]
)
def test_failure_spreads_to_the_jobs_that_need_the_failed_one_in_any_way(
    if_fails: IfFails, state: JobState
) -> None:
    drive = Drive()
    first = new_job(drive.engine)
    middle = needing(drive, first, if_fails=if_fails)
    last = needing(drive, middle, if_fails=if_fails)
    drive.submit(first, middle, last)
    drive.hello()
    [grant] = drive.grants()

    drive.fail(grant, Ending.BAD_INPUT)

    ended = {effect.job.id: effect for effect in drive.finished}
    assert [ended[job.id].state for job in (middle, last)] == [state, state]
    assert ended[middle.id].error == f"It needs the job {first.id}, which did not complete"
    assert not drive.engine.queue.jobs


def test_job_that_runs_all_the_same_waits_for_the_end_of_all() -> None:
    drive = Drive()
    first, second = new_job(drive.engine), new_job(drive.engine)
    last = needing(drive, first, second, if_fails=IfFails.RUN)
    drive.submit(first, second, last)
    drive.hello()
    one, other = drive.grants()

    drive.fail(one, Ending.BAD_INPUT)
    assert not [grant for grant in drive.grants() if grant.job is last]
    drive.complete(other)

    assert [grant.job for grant in drive.grants()] == [last]


def test_paused_job_whose_need_failed_ends_when_it_is_resumed() -> None:
    drive = Drive()
    first = new_job(drive.engine)
    last = needing(drive, first)
    drive.submit(first, last)
    drive.engine.pause(last, drive.now)
    drive.settle()
    drive.hello()
    [grant] = drive.grants()
    drive.fail(grant, Ending.BAD_INPUT)
    assert last.state is JobState.PAUSED

    drive.engine.resume(last)
    drive.settle()

    assert drive.finished[-1].job is last
    assert drive.finished[-1].state is JobState.FAILED


def test_new_leader_settles_what_ended_before_it_led() -> None:
    drive = Drive()
    drive.hello()
    jobs = {name: JobId(f"0000000{number}-0000-7000-8000-000000000000") for number, name in enumerate("abc")}
    met = new_job(drive.engine, ties=Ties(needs=(jobs["a"], jobs["c"]), open={jobs["a"], jobs["c"]}))
    unmet = new_job(drive.engine, ties=Ties(needs=(jobs["b"],), open={jobs["b"]}))
    for job in (met, unmet):
        drive.engine.restore(job, drive.now)

    assert set(drive.engine.queue.knots.unknown(drive.engine.queue.jobs)) == set(jobs.values())
    drive.engine.restore_ties({jobs["a"]: JobState.COMPLETED, jobs["b"]: JobState.CANCELLED}, drive.now)
    drive.engine.plan(drive.now)
    drive.settle()

    assert [grant.job for grant in drive.grants()] == [met]
    assert [(effect.job, effect.state) for effect in drive.finished] == [(unmet, JobState.FAILED)]


def test_unique_key_is_held_until_its_job_is_gone() -> None:
    drive = Drive()
    job = new_job(drive.engine, ties=Ties(unique_key="nightly"))
    drive.submit(job)
    assert drive.engine.queue.knots.holder("nightly") == job.id
    drive.hello()
    [grant] = drive.grants()
    drive.complete(grant)
    assert drive.engine.queue.knots.holder("nightly") is None


names = st.integers(0, 9).map(lambda number: JobId(str(number)))


@given(st.dictionaries(names, st.sets(names, max_size=4), max_size=10))
def test_circle_is_found_exactly_where_no_order_exists(needs: dict[JobId, set[JobId]]) -> None:
    found = circle(needs)

    left = dict(needs)
    while free := [job for job, needed in left.items() if not needed & left.keys()]:
        for job in free:
            del left[job]
    assert (found is None) is (not left)
    assert found is None or found in left


@pytest.mark.parametrize("refused", [True, False])
@pytest.mark.parametrize("past", [JobState.COMPLETED, JobState.FAILED, None])
def test_job_that_took_to_waiting_for_a_follow_up_which_is_none_hears_what_history_says(
    *, refused: bool, past: JobState | None
) -> None:
    drive = Drive()
    first = new_job(drive.engine)
    drive.submit(first)
    drive.hello()
    [grant] = drive.grants()
    follow_up = new_job(drive.engine)
    drive.slow = True
    drive.engine.completed(
        (WorkerId("w1"), grant.session),
        (grant.job.id, grant.token),
        Brought(follow_ups=[NewRow(job=follow_up, params="{}")]),
        span=(drive.now, drive.now),
    )
    waiting = needing(drive, follow_up)
    drive.submit(waiting)
    drive.commit_intake()
    [finish] = drive.engine.turn
    assert isinstance(finish, FinishJob)
    body = follow_up.request_hash + int(refused)
    clash = finish.leave_out({} if past is None else {follow_up.id: (body, past)})
    assert clash == (follow_up.id if refused and past else None)
    if refused or past is None:
        drive.engine.turn[:] = [drive.engine.finish_refused(finish, "no", drive.now), *drive.engine.turn[1:]]
    drive.slow = False
    drive.settle()

    assert follow_up.id not in drive.engine.queue.jobs
    if past is JobState.COMPLETED:
        assert [sent.job for sent in drive.grants()] == [waiting]
    else:
        assert [(one.job, one.state) for one in drive.finished][-1] == (waiting, JobState.FAILED)
        assert waiting.id not in drive.engine.queue.jobs
