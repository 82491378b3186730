"""A job that yields waits for its children, is granted again when they are final, and takes them with it."""

import pytest
from callsheet_scheduler.domain.effects import Fate, LookUp, NewRow, SendAck, SendGrant
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LOST_MAX, JobId, JobState, LiveJob, Ties, WorkerId
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.retry import YIELDS_MAX
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.domain.ties import waits_for
from callsheet_scheduler.use_cases.waiting import queue_position, waiting_reason

from tests.support.engines import Drive, grant_of, new_job

W1 = WorkerId("w1")


def yield_to(drive: Drive, grant: SendGrant, *children: LiveJob) -> None:
    """Let the worker of *grant* report that its job yields."""
    drive.engine.yielded(
        (W1, grant.session),
        (grant.job.id, grant.token),
        Outcome(ending=Ending.YIELDED, checkpoint='{"round": 1}'),
        [NewRow(job=child, params="{}") for child in children],
        span=(drive.now, drive.now),
        now=drive.now,
    )
    drive.engine.credit(W1, 1, drive.now)
    drive.settle()


def child_of(drive: Drive, parent: LiveJob) -> LiveJob:
    return new_job(drive.engine, parent_id=parent.id)


def yielding(drive: Drive, *, children: int = 2, slots: int = 2) -> tuple[LiveJob, list[LiveJob]]:
    """Return a parent that waits for fresh children, which run as far as there are slots."""
    drive.hello(slots=slots)
    parent = new_job(drive.engine)
    drive.submit(parent)
    grant = grant_of(drive)
    kids = [child_of(drive, parent) for _ in range(children)]
    yield_to(drive, grant, *kids)
    return parent, kids


def test_parent_is_granted_again_when_its_children_are_final_and_has_spent_no_retry() -> None:
    drive = Drive()
    parent, kids = yielding(drive)
    assert parent.state is JobState.PENDING
    assert waiting_reason(drive.engine, parent, drive.now) == "Waiting for 2 jobs"

    one, other = [sent for sent in drive.grants() if sent.job in kids]
    drive.complete(one)
    assert parent.state is JobState.PENDING
    drive.complete(other)

    again = grant_of(drive)
    assert (again.job, again.attempt) == (parent, 2)
    assert (parent.retry_count, parent.lost_count, parent.yields) == (0, 0, 1)
    [released] = drive.released
    assert (released.outcome, released.checkpoint) == ("yielded", '{"round": 1}')


def test_parent_goes_before_what_came_after_it() -> None:
    drive = Drive()
    parent, kids = yielding(drive, children=1, slots=1)
    later = [new_job(drive.engine, at=drive.now + 5) for _ in range(3)]
    drive.submit(*later)

    [sent] = drive.grants()[-1:]
    assert sent.job in kids
    drive.drain()
    drive.complete(sent)

    assert queue_position(drive.engine, parent, drive.now) == 1
    assert [queue_position(drive.engine, job, drive.now) for job in later] == [2, 3, 4]


def test_parent_is_granted_again_although_a_child_failed_and_may_yield_again() -> None:
    drive = Drive()
    parent, _ = yielding(drive, children=1)
    [sent] = drive.grants()[-1:]
    drive.fail(sent, Ending.BAD_INPUT)
    second = grant_of(drive)
    assert second.job is parent

    another = child_of(drive, parent)
    yield_to(drive, second, another)
    drive.complete(drive.grants()[-1])

    assert grant_of(drive).attempt == 3
    assert parent.ties is not None
    assert parent.ties.children == (sent.job.id, another.id)
    assert parent.yields == 2


def test_child_that_lives_already_is_waited_for_and_not_made_again() -> None:
    drive = Drive()
    drive.hello()
    parent, known = new_job(drive.engine), new_job(drive.engine)
    drive.submit(parent)
    grant = grant_of(drive)
    drive.submit(known)

    yield_to(drive, grant, child_of(drive, parent), new_job(drive.engine, id=known.id))

    assert drive.engine.queue.jobs[known.id] is known
    [released] = drive.released
    assert known.id in released.children
    assert known.id not in {row.job.id for row in released.follow_ups}


def test_repeated_report_is_looked_up_and_makes_nothing() -> None:
    drive = Drive()
    drive.hello(slots=1)
    parent = new_job(drive.engine)
    drive.submit(parent)
    grant = grant_of(drive)
    child = child_of(drive, parent)
    yield_to(drive, grant, child)
    assert [one.fate for one in drive.sent if isinstance(one, SendAck)] == [Fate.COMMITTED]
    drive.sent.clear()

    yield_to(drive, grant, child)

    assert [one.yielded for one in drive.sent if isinstance(one, LookUp)] == [True]
    assert len(drive.released) == 1


def test_cancelled_parent_takes_its_children_with_it_and_ends_after_them() -> None:
    drive = Drive()
    parent, kids = yielding(drive, children=3, slots=1)
    [running] = [sent for sent in drive.grants() if sent.job in kids]

    drive.engine.cancel(parent, by="ann", now=drive.now)
    drive.settle()

    assert parent.state is JobState.PENDING
    assert running.job.cancel_requested_at is not None
    cancelled = [effect.job for effect in drive.finished]
    assert len(cancelled) == 2
    assert set(cancelled) < set(kids)
    drive.fail(running, Ending.CANCELLED)
    assert [effect.job for effect in drive.finished[-2:]] == [running.job, parent]
    assert drive.finished[-1].state is JobState.CANCELLED
    assert not drive.engine.queue.jobs


def test_cancelled_parent_cannot_be_paused_while_its_children_end() -> None:
    drive = Drive()
    parent, _ = yielding(drive, children=1)
    drive.engine.cancel(parent, by="ann", now=drive.now)
    drive.settle()

    drive.engine.pause(parent, drive.now)
    drive.settle()

    assert parent.state is JobState.PENDING
    assert parent.winding_up


def test_pause_of_a_waiting_parent_holds_back_the_children_that_do_not_run() -> None:
    drive = Drive()
    parent, [first, *others] = yielding(drive, children=3, slots=1)
    drive.engine.pause(parent, drive.now)
    drive.settle()

    running = drive.grants()[-1]
    assert running.job is first
    drive.drain()
    drive.complete(running)
    assert not drive.grants()
    assert {child.state for child in others} == {JobState.PENDING}
    held = f"Paused: the job {parent.id}, to which it belongs"
    assert [waiting_reason(drive.engine, child, drive.now) for child in others] == [held, held]
    assert [queue_position(drive.engine, child, drive.now) for child in others] == [0, 0]


def test_resumed_parent_lets_its_children_go_on_and_is_granted_after_them() -> None:
    drive = Drive()
    parent, kids = yielding(drive, children=2, slots=1)
    drive.engine.pause(parent, drive.now)
    drive.settle()
    drive.complete(drive.grants()[-1])

    drive.engine.resume(parent)
    drive.settle()
    last = grant_of(drive)
    drive.complete(last)

    assert last.job is kids[1]
    assert grant_of(drive).job is parent


@pytest.mark.parametrize("back", ["resume", "cancel"])
def test_children_that_are_steered_while_their_parent_is_paused_stay_held_back(back: str) -> None:
    drive = Drive()
    parent, [first, second, third] = yielding(drive, children=3, slots=1)
    drive.engine.pause(parent, drive.now)
    drive.settle()
    drive.engine.prioritize(second, 1)
    drive.engine.pause(third, drive.now)
    drive.settle()
    drive.engine.resume(third)
    drive.settle()
    drive.fail(drive.grants()[-1], Ending.RETURNED)
    drive.sent.clear()
    drive.engine.plan(drive.now)
    drive.settle()
    assert not drive.grants()

    if back == "resume":
        drive.engine.resume(parent)
        drive.settle()
        assert [queue_position(drive.engine, child, drive.now) for child in (second, first, third)] == [
            0,
            1,
            2,
        ]
        assert grant_of(drive).job is second
    else:
        drive.engine.cancel(parent, by="ann", now=drive.now)
        drive.settle()
        assert not drive.engine.queue.jobs


def test_parent_that_yields_after_it_was_asked_to_pause_holds_its_children_back() -> None:
    drive = Drive()
    drive.hello(slots=2)
    parent, known = new_job(drive.engine), new_job(drive.engine, at=drive.now)
    drive.submit(parent)
    grant = grant_of(drive)
    known.parent_id, known.run_at = parent.id, drive.now + 5
    drive.submit(known)
    drive.engine.pause(parent, drive.now)
    drive.settle()

    yield_to(drive, grant, child_of(drive, parent), known)
    drive.wait(6)
    assert parent.state is JobState.PAUSED
    assert not drive.grants()

    drive.engine.resume(parent)
    drive.settle()
    assert len(drive.grants()) == 2


def test_pause_reaches_the_children_of_children() -> None:
    drive = Drive()
    parent, [middle] = yielding(drive, children=1)
    yield_to(
        drive, drive.grants()[-1], child_of(drive, middle), child_of(drive, middle), child_of(drive, middle)
    )
    drive.engine.pause(parent, drive.now)
    drive.settle()
    for grant in drive.grants()[-2:]:
        drive.complete(grant)

    last = drive.engine.queue.holder(drive.engine.queue.jobs[max(drive.engine.queue.jobs)])
    assert last is parent
    drive.sent.clear()
    drive.engine.plan(drive.now)
    assert not drive.grants()


@pytest.mark.parametrize("first", ["parent", "child"])
def test_next_leader_holds_back_what_belongs_to_a_paused_job(first: str) -> None:
    drive = Drive()
    drive.hello()
    parent = new_job(drive.engine, state=JobState.PAUSED)
    child = new_job(drive.engine, parent_id=parent.id)
    parent.ties = Ties(children=(child.id,), yields=1, open={child.id})
    for job in (parent, child) if first == "parent" else (child, parent):
        drive.engine.restore(job, drive.now)
    drive.engine.restore_ties({}, drive.now)
    drive.engine.plan(drive.now)
    drive.settle()
    assert not drive.grants()

    drive.engine.resume(parent)
    drive.settle()

    assert grant_of(drive).job is child


def test_report_of_a_job_that_was_cancelled_before_makes_no_children() -> None:
    drive = Drive()
    drive.hello()
    parent = new_job(drive.engine)
    drive.submit(parent)
    grant = grant_of(drive)
    drive.engine.cancel(parent, by="ann", now=drive.now)
    drive.settle()

    yield_to(drive, grant, child_of(drive, parent))

    assert not drive.engine.queue.jobs
    [finished] = drive.finished
    assert (finished.state, finished.fate) == (JobState.CANCELLED, Fate.REFUSED)


def test_yielding_has_an_end() -> None:
    drive = Drive()
    drive.hello(slots=1)
    parent = new_job(drive.engine)
    drive.submit(parent)
    for _ in range(YIELDS_MAX):
        yield_to(drive, grant_of(drive), child_of(drive, parent))
        drive.complete(grant_of(drive))

    yield_to(drive, grant_of(drive), child_of(drive, parent))

    assert drive.finished[-1].job is parent
    assert drive.finished[-1].state is JobState.FAILED
    assert f"yielded {YIELDS_MAX} times" in (drive.finished[-1].error or "")
    assert not drive.engine.queue.jobs


def test_yielding_shows_that_lost_leases_were_not_the_jobs_fault() -> None:
    drive = Drive()
    drive.hello(slots=1)
    parent = new_job(drive.engine, lost_count=LOST_MAX - 1)
    drive.submit(parent)

    yield_to(drive, grant_of(drive), child_of(drive, parent))

    assert parent.lost_count == 0


@pytest.mark.parametrize("cancelled", [False, True])
def test_next_leader_goes_on_where_the_last_one_left_off(*, cancelled: bool) -> None:
    drive = Drive()
    parent, kids = yielding(drive, children=2, slots=1)
    if cancelled:
        parent.cancel_requested_at = drive.now
    [gone, left] = kids
    ties = Ties(children=(gone.id, left.id), yields=1, open={gone.id, left.id})

    second = Drive(engine=Engine(term=2, rules=Rules()))
    kept = new_job(second.engine, id=parent.id, ties=ties, cancel_requested_at=parent.cancel_requested_at)
    child = new_job(second.engine, id=left.id, parent_id=parent.id)
    for job in (kept, child):
        second.engine.restore(job, second.now)
    second.engine.restore_ties({gone.id: JobState.FAILED}, second.now)
    second.settle()
    second.hello(slots=1)

    if cancelled:
        assert [effect.job for effect in second.finished] == [child, kept]
        assert not second.grants()
    else:
        second.complete(grant_of(second))
        assert grant_of(second).job is kept


def test_job_that_waits_for_the_one_that_yields_is_found_however_far_away() -> None:
    drive = Drive()
    parent, middle, child = (new_job(drive.engine) for _ in range(3))
    middle.ties = Ties(needs=(parent.id,), open={parent.id})
    child.ties = Ties(needs=(middle.id,), open={middle.id})
    live = {job.id: job for job in (parent, middle)}

    assert waits_for(parent.id, [child], live) == child.id
    assert waits_for(parent.id, [new_job(drive.engine)], live) is None
    assert waits_for(JobId(child.id), [middle], live) is None
