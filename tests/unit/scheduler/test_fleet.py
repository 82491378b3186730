"""Roots, drained and leaving workers, and who puts outputs in their places."""

import pytest
from callsheet_scheduler.domain.effects import (
    Brought,
    Output,
    SendDrain,
    SendPlace,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, Token, WorkerId
from callsheet_scheduler.domain.limits import Limits
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.waiting import waiting_reason

from callsheet.catalog import Category
from tests.support.engines import (
    CPU,
    START,
    Drive,
    behind_a_full_worker,
    grant_of,
    new_job,
)

W1 = WorkerId("w1")


def test_job_goes_only_to_a_worker_that_reaches_its_root() -> None:
    drive = Drive()
    job = new_job(drive.engine, root="archive")
    drive.submit(job)
    assert waiting_reason(drive.engine, job, START) == "No connected worker handles scan"
    drive.hello("w1", roots=["library"])
    assert drive.grants() == []
    assert waiting_reason(drive.engine, job, START) == "No connected worker reaches root archive"
    drive.hello("w2", session=2, roots=["library", "archive"])
    assert grant_of(drive).session == 2


def test_job_for_an_absent_root_blocks_no_other() -> None:
    drive = Drive()
    drive.submit(new_job(drive.engine, root="archive", priority=1), new_job(drive.engine, root="library"))
    drive.hello(roots=["library"])
    assert [grant.job.root for grant in drive.grants()] == ["library"]


@pytest.mark.parametrize("category", [Category.CPU, Category.GPU_ENCODE])
def test_job_goes_only_to_a_worker_that_may_write_to_its_target(category: Category) -> None:
    drive = Drive()
    job = new_job(drive.engine, root="library>outputs", category=category)
    drive.submit(job)
    drive.hello("w1", roots=["library", "outputs"], read_only=["outputs"], software_gpu=True)
    drive.hello("w2", session=2, roots=["outputs"], software_gpu=True)
    assert drive.grants() == []
    reason = "No connected worker reaches root library and writes to root outputs"
    assert waiting_reason(drive.engine, job, START) == reason
    drive.hello("w3", session=3, roots=["library", "outputs"], read_only=["library"], software_gpu=True)
    assert grant_of(drive).session == 3


def test_job_type_marks_which_of_its_roots_is_written_to() -> None:
    types = JobTypes()

    def root(params: str) -> str | None:
        return types.check_params("reencode_streaming", params, field="params").root

    assert root("{}") == "library>outputs"
    assert root('{"root": "archive", "outputRoot": "made"}') == "archive>made"
    assert types.check_params("scan", "{}", field="params").root == "library"


def test_drained_worker_gets_nothing_keeps_what_it_has_and_works_again() -> None:
    drive = Drive()
    drive.hello()
    drive.submit(new_job(drive.engine))
    grant = grant_of(drive)
    drive.drain(grace_s=60.0)
    waiting = new_job(drive.engine)
    drive.submit(waiting)
    told = [message for message in drive.sent if isinstance(message, SendDrain)]
    assert [(message.draining, message.grace_s) for message in told] == [(True, 60.0)]
    drive.complete(grant)
    assert drive.grants() == []
    assert waiting_reason(drive.engine, waiting, START) == "Every worker that handles scan is drained"
    drive.drain(draining=False)
    assert grant_of(drive).job is waiting


def test_drain_outlives_the_worker_and_the_leader() -> None:
    drive = Drive()
    drive.hello()
    drive.drain(grace_s=5.0)
    drive.engine.session_closed(W1, 1, START)
    assert W1 not in drive.engine.fleet.workers
    drive.hello(session=2)
    drive.submit(new_job(drive.engine))
    assert drive.grants() == []
    after = Drive(engine=Engine(term=2, rules=Rules()))
    after.engine.restore_controls(pauses=[], limits=Limits(), drained={W1: 5.0}, outputs=[], now=START)
    after.hello()
    after.submit(new_job(after.engine))
    told = [message for message in after.sent if isinstance(message, SendDrain)]
    assert [(message.draining, message.grace_s) for message in told] == [(True, 5.0)]
    assert after.grants() == []


def test_another_worker_takes_what_a_drained_one_cannot() -> None:
    drive = Drive()
    drive.hello()
    drive.drain()
    drive.hello("w2", session=2, host="boreas")
    drive.submit(new_job(drive.engine))
    assert grant_of(drive).session == 2


def test_leaving_worker_gets_nothing_even_if_it_gives_credit_until_it_comes_back() -> None:
    drive = Drive()
    drive.hello()
    drive.engine.leaving(W1)
    drive.engine.credit(W1, 3, START)
    job = new_job(drive.engine)
    drive.submit(job)
    assert drive.grants() == []
    assert waiting_reason(drive.engine, job, START) == "Every worker that handles scan is drained"
    drive.hello(session=2)
    assert grant_of(drive).job is job


def test_busy_slots_are_the_reason_where_nothing_else_is() -> None:
    drive = Drive()
    [job] = behind_a_full_worker(drive)
    assert waiting_reason(drive.engine, job, START) == "All 1 cpu slots are busy"


def output(job_id: JobId, root: str = "made") -> Output:
    return Output(job_id=job_id, token=Token(7), root=root, staged_path="a.7", path="a")


def placed(drive: Drive) -> list[tuple[int, str]]:
    """Return who was asked to place what, and forget all that was sent."""
    asked = [
        (message.session, message.output.root) for message in drive.sent if isinstance(message, SendPlace)
    ]
    drive.sent.clear()
    return asked


def with_output(drive: Drive, root: str = "made") -> Output:
    """Let w1 complete a job that leaves an output in *root*."""
    job = new_job(drive.engine)
    drive.submit(job)
    grant = next(grant for grant in drive.grants() if grant.job is job)
    made = output(job.id, root)
    drive.engine.completed(
        (W1, grant.session),
        (job.id, grant.token),
        Brought(outputs=[made]),
        span=(START, START),
    )
    drive.settle()
    return made


def test_output_is_placed_by_the_worker_that_made_it() -> None:
    drive = Drive()
    drive.hello("w0", session=9, types=["validate"], roots=["made"])
    drive.hello("w1", roots=["made"])
    made = with_output(drive)
    assert placed(drive) == [(1, "made")]
    drive.engine.placed(made, "")
    drive.settle()
    drive.engine.session_closed(W1, 1, START)
    drive.settle()
    assert (len(drive.engine.outputs), placed(drive)) == (0, [])


def test_output_goes_to_another_worker_when_the_first_one_goes() -> None:
    drive = Drive()
    drive.hello("w1", roots=["made"])
    with_output(drive)
    assert placed(drive) == [(1, "made")]
    drive.hello("w2", session=2, roots=["made"])
    drive.hello("w3", session=3, roots=["library"])
    assert placed(drive) == []
    drive.engine.session_closed(W1, 1, START)
    drive.settle()
    assert placed(drive) == [(2, "made")]


def test_output_waits_for_a_worker_that_writes_to_its_root() -> None:
    drive = Drive()
    drive.hello("w1", roots=["library"])
    drive.hello("w3", session=3, roots=["made"], read_only=["made"])
    made = with_output(drive)
    assert placed(drive) == []
    drive.hello("w2", session=2, roots=["made"])
    assert placed(drive) == [(2, "made")]
    for _ in range(2):
        drive.engine.placed(made, "there is a file already")
    assert len(drive.engine.turn) == 1


def test_output_that_was_not_placed_is_offered_by_the_next_leader() -> None:
    drive = Drive(engine=Engine(term=2, rules=Rules()))
    made = output(new_job(drive.engine).id)
    drive.engine.restore_controls(pauses=[], limits=Limits(), drained={}, outputs=[made], now=START)
    drive.hello(roots=["made"])
    assert placed(drive) == [(1, "made")]


def test_output_that_is_being_settled_is_offered_to_nobody() -> None:
    drive = Drive()
    drive.hello("w1", roots=["made"])
    made = with_output(drive)
    drive.engine.placed(made, "")
    drive.hello("w2", session=2, roots=["made"])
    drive.engine.session_closed(W1, 1, START)
    drive.settle()
    assert placed(drive) == [(1, "made")]
    assert len(drive.engine.outputs) == 0


def test_worker_whose_host_was_full_is_chosen_again_once_it_is_not() -> None:
    drive = Drive()
    drive.limit(host={CPU: 2})
    for number in (1, 2, 3):
        drive.hello(f"w{number}", session=number, host=f"h{number}", slots=5)
    jobs = [new_job(drive.engine) for _ in range(8)]
    drive.submit(*jobs)
    grants = drive.grants()
    assert sorted(grant.session for grant in grants) == [1, 1, 2, 2, 3, 3]
    assert waiting_reason(drive.engine, jobs[-1], START) == (
        "The limit of 2 cpu jobs per host is reached on h1, h2, h3"
    )
    second = next(grant for grant in grants if grant.session == 2)
    drive.complete(second, "w2")
    assert [grant.session for grant in drive.grants()] == [2]
    drive.limit(host={CPU: 3})
    assert len(drive.grants()) == 1


def test_workers_of_different_kinds_take_turns() -> None:
    drive = Drive()
    drive.hello("w1", session=1, types=("scan",), host="h1")
    drive.hello("w2", session=2, types=("scan", "validate"), host="h2")
    for _ in range(4):
        drive.submit(new_job(drive.engine))
    assert [grant.session for grant in drive.grants()] == [1, 2, 1, 2]
