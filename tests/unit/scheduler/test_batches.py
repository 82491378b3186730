"""How events fall into batches changes nothing: neither who gets a lease, nor what the queue becomes."""

from collections.abc import Sequence

from callsheet_scheduler.domain.effects import Brought, NewRow
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.rules import Rules
from hypothesis import given
from hypothesis import strategies as st

from callsheet.ids import new_job_id
from tests.support.engines import START, Drive, new_job

SLOTS = st.integers(0, 5)
KINDS = st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=1, max_size=12)


def jobs_of(engine: Engine, ids: Sequence[JobId], kinds: list[tuple[int, bool]]) -> list[LiveJob]:
    return [
        new_job(engine, id=job_id, priority=priority, interactive=interactive)
        for job_id, (priority, interactive) in zip(ids, kinds, strict=True)
    ]


def new_drive() -> Drive:
    return Drive(engine=Engine(term=1, rules=Rules(host_limits={})))


@given(kinds=KINDS, slots=SLOTS)
def test_inserted_leased_are_those_that_would_be_granted_after_the_insertion(
    kinds: list[tuple[int, bool]], slots: int
) -> None:
    ids = [JobId(new_job_id()) for _ in kinds]
    at_once, later = new_drive(), new_drive()
    at_once.hello(slots=slots)
    rows = [NewRow(job=job, params="{}") for job in jobs_of(at_once.engine, ids, kinds)]
    at_once.engine.submit(1, rows, START)
    inserted_leased = set(at_once.engine.intake[0].session)
    at_once.settle()
    later.submit(*jobs_of(later.engine, ids, kinds))
    later.hello(slots=slots)
    granted = [grant.job.id for grant in later.grants()]
    assert inserted_leased == set(granted)
    in_order_of_tokens = sorted(at_once.grants(), key=lambda grant: grant.token)
    assert [grant.job.id for grant in in_order_of_tokens] == granted


@given(kinds=KINDS, slots=st.integers(1, 5), cuts=st.lists(st.integers(1, 4), max_size=12))
def test_any_split_of_a_turn_gives_the_same_queue(
    kinds: list[tuple[int, bool]], slots: int, cuts: list[int]
) -> None:
    ids = [JobId(new_job_id()) for _ in kinds]
    whole, split = [
        _after_completions(ids, kinds, slots, sizes) for sizes in ([len(kinds)], [*cuts, len(kinds)])
    ]
    assert whole == split


def _after_completions(
    ids: Sequence[JobId], kinds: list[tuple[int, bool]], slots: int, sizes: list[int]
) -> dict[JobId, tuple[str, int]]:
    """Complete what runs, commit the turn in parts of *sizes*, and return every job's state and attempt."""
    drive = new_drive()
    drive.hello(slots=slots)
    drive.submit(*jobs_of(drive.engine, ids, kinds))
    engine = drive.engine
    for grant in drive.grants():
        engine.completed(
            (WorkerId("w1"), grant.session),
            (grant.job.id, grant.token),
            Brought(),
            span=(START, START),
        )
        engine.credit(WorkerId("w1"), 1, START)
    engine.plan(START)
    turn, engine.turn = engine.turn, []
    for size in sizes:
        part, turn = turn[:size], turn[size:]
        for effect in part:
            engine.committed(effect, START)
        engine.plan(START)
        turn, engine.turn = turn + engine.turn, []
    assert not turn
    return {job.id: (job.state.name, job.attempt) for job in engine.queue.jobs.values()}
