"""When a waiting GPU job is said to start: as it turns out to be, and nothing where nobody knows."""

from callsheet_scheduler.domain.forecast import AHEAD_MAX, predicted_start
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.use_cases.waiting import minute, waiting_reason
from hypothesis import given, settings
from hypothesis import strategies as st

from callsheet.catalog import Category
from tests.support.engines import START, new_job
from tests.support.gpu_fleet import ENCODE, INFER, card, encode, infer
from tests.support.gpu_runs import GpuRuns, fresh

RUN_S = {INFER: 300.0, ENCODE: 100.0}


def predicted_s(runs: GpuRuns, job: LiveJob) -> float | None:
    """Return in how many seconds after the beginning *job* is expected to start."""
    start_at = predicted_start(runs.engine, job, runs.now)
    return None if start_at is None else start_at - START


def one_card(*, sessions: int | None = None, patience_s: float = 600.0) -> GpuRuns:
    runs = fresh(patience_s=patience_s)
    runs.know(RUN_S)
    runs.reach(card(sessions=sessions), slots=20)
    return runs


def test_job_starts_when_the_lease_is_expected_to_end_that_leaves_room() -> None:
    runs = one_card()
    runs.arrive(infer(runs, 8_000), run_s=300.0)
    runs.arrive(encode(runs, 8_000), run_s=100.0)
    small, big = (runs.arrive(infer(runs, mib), run_s=300.0) for mib in (7_000, 12_000))
    runs.go(1.0)
    assert (predicted_s(runs, small), predicted_s(runs, big)) == (100.0, 400.0)
    runs.go(50.0)
    runs.go()
    assert (runs.waited_s(small), runs.waited_s(big)) == (100.0, 400.0)


def test_nothing_is_said_where_a_lease_of_unknown_length_is_in_the_way() -> None:
    runs = one_card()
    runs.hello("w2", types=("dub",), cards=[card()])
    runs.arrive(infer(runs, 12_000, type="dub"), run_s=100.0)
    waiting = runs.arrive(infer(runs, 5_000), run_s=300.0)
    runs.go(1.0)
    assert predicted_s(runs, waiting) is None
    runs.know({"dub": 200.0})
    assert predicted_s(runs, waiting) == 200.0


def test_lease_of_unknown_length_that_is_not_in_the_way_does_no_harm() -> None:
    runs = one_card()
    runs.hello("w2", types=("dub",), cards=[card()])
    runs.arrive(infer(runs, 2_000, type="dub"), run_s=9_000.0)
    runs.arrive(infer(runs, 10_000), run_s=300.0)
    waiting = runs.arrive(infer(runs, 12_000), run_s=300.0)
    runs.go(1.0)
    assert predicted_s(runs, waiting) == 300.0


def test_sessions_and_slots_are_waited_for_as_well() -> None:
    runs = one_card(sessions=1)
    runs.arrive(encode(runs), run_s=100.0)
    waiting = runs.arrive(encode(runs), run_s=100.0)
    runs.go(1.0)
    assert predicted_s(runs, waiting) == 100.0
    runs = one_card()
    runs.limit(host={SCOPE_OF[Category.GPU_AI]: 1})
    runs.arrive(infer(runs, 1_000), run_s=300.0)
    second, third = (runs.arrive(infer(runs, 1_000), run_s=300.0) for _ in range(2))
    runs.go(1.0)
    assert (predicted_s(runs, second), predicted_s(runs, third)) == (300.0, 600.0)


def test_nobody_foretells_the_start_behind_a_long_queue_or_without_a_card() -> None:
    runs = one_card()
    runs.arrive(infer(runs, 16_000), run_s=300.0)
    waiting = [runs.arrive(infer(runs, 16_000), run_s=300.0) for _ in range(AHEAD_MAX + 2)]
    never = runs.arrive(infer(runs, 17_000), run_s=300.0)
    runs.go(1.0)
    assert predicted_s(runs, waiting[AHEAD_MAX]) == 300.0 * (AHEAD_MAX + 1)
    assert predicted_s(runs, waiting[AHEAD_MAX + 1]) is None
    assert predicted_s(runs, never) is None
    assert predicted_s(runs, new_job(runs.engine)) is None


def test_paused_types_are_not_waited_for() -> None:
    runs = one_card()
    runs.arrive(encode(runs, 16_000), run_s=100.0)
    runs.arrive(infer(runs, 16_000), run_s=300.0)
    waiting = runs.arrive(encode(runs, 16_000), run_s=100.0, after_s=1.0)
    runs.go(2.0)
    assert predicted_s(runs, waiting) == 400.0
    runs.pause_scope(SCOPE_OF[Category.GPU_AI])
    assert predicted_s(runs, waiting) == 100.0


def test_job_that_is_kept_from_a_card_says_for_how_long() -> None:
    runs = one_card(patience_s=10.0)
    runs.arrive(infer(runs, 8_000), run_s=300.0)
    big = runs.arrive(infer(runs, 12_000), run_s=300.0, after_s=1.0)
    runs.go(20.0)
    small = runs.arrive(infer(runs, 5_000), run_s=300.0)
    runs.go(1.0)
    at = minute(START + 300.0, runs.now)
    reason = waiting_reason(runs.engine, small, runs.now)
    assert reason == f"atlas GPU 0 is kept for a more urgent job, from about {at} on"
    assert (predicted_s(runs, big), predicted_s(runs, small)) == (300.0, 600.0)


def test_instant_far_away_is_told_with_its_date() -> None:
    assert minute(START + 60.0, START) == "08:01 UTC"
    assert minute(START + 86_400.0, START) == "2027-01-16 08:00 UTC"


@settings(max_examples=40, deadline=None)
@given(
    running=st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=6),
    waiting=st.lists(st.tuples(st.integers(1, 16), st.booleans()), min_size=1, max_size=8),
)
def test_first_in_line_starts_when_it_was_said_to_where_jobs_run_as_long_as_known(
    running: list[tuple[int, bool]], waiting: list[tuple[int, bool]]
) -> None:
    runs = one_card(sessions=3, patience_s=0.0)
    for thousands, encodes in running:
        make = encode if encodes else infer
        runs.arrive(make(runs, thousands * 1_000), run_s=RUN_S[ENCODE if encodes else INFER])
    runs.go(1.0)
    for size, encodes in waiting:
        make = encode if encodes else infer
        runs.arrive(make(runs, size * 1_000), run_s=RUN_S[ENCODE if encodes else INFER])
    runs.go(1.0)
    left = [job for job in runs.engine.queue.jobs.values() if job.id not in runs.started_at]
    if left:
        first = min(left, key=lambda job: job.sequence)
        said_at = predicted_start(runs.engine, first, runs.now)
        runs.go(tick_s=10.0)
        assert runs.started_at[first.id] == said_at
