"""What is learned of jobs' needs: what is kept, what is predicted, what is proposed."""

from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.footprint import (
    RUNS_KEPT,
    RUNS_OF_A_CLASS,
    RUNS_TO_PROPOSE,
    STEP_MIB,
    Footprints,
    Recent,
    size_class,
)
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.rules import Rules
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engines import START, new_job

figures = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)
shares = st.floats(0.01, 1.0)
mib = st.integers(1, 80_000)
ENGINE = Engine(term=1, rules=Rules())


def a_job(vram_mib: int = 1_000, size: int | None = None, *, started_at: float | None = None) -> LiveJob:
    job = new_job(ENGINE, vram_mib=vram_mib, size_class=size)
    job.started_at = started_at
    return job


@given(figures, shares)
def test_quantile_is_the_least_recent_figure_that_so_many_do_not_exceed(
    values: list[float], share: float
) -> None:
    recent = Recent(values)
    kept = values[-RUNS_KEPT:]

    found = recent.quantile(share)

    assert found in kept
    assert sum(one <= found for one in kept) >= share * len(kept)
    assert sum(one < found for one in kept) < share * len(kept)


@given(figures, shares, st.floats(0, 1e6))
def test_quantile_above_a_limit_is_that_of_the_figures_above_it(
    values: list[float], share: float, limit: float
) -> None:
    above = [one for one in values[-RUNS_KEPT:] if one > limit]

    assert Recent(values).quantile(share, above=limit) == Recent(above).quantile(share)


@given(figures, figures)
def test_what_was_asked_before_changes_nothing(first: list[float], later: list[float]) -> None:
    asked, fresh = Recent(first), Recent(first)
    asked.quantile(0.5)
    for one in later:
        asked.add(one)
        fresh.add(one)

    assert asked.quantile(0.5) == fresh.quantile(0.5)
    assert len(asked) == min(RUNS_KEPT, len(first) + len(later))


@given(st.lists(st.tuples(mib, mib), min_size=RUNS_TO_PROPOSE, max_size=100))
def test_proposal_would_have_been_enough_for_nearly_all_recent_runs(runs: list[tuple[int, int]]) -> None:
    footprints = Footprints()
    for given_mib, peak_mib in runs:
        footprints.completed(a_job(given_mib), 1.0, peak_mib)

    proposed_mib = footprints.proposal_mib("scan", None)

    kept = runs[-RUNS_KEPT:]
    assert proposed_mib is not None
    assert proposed_mib % STEP_MIB == 0
    assert sum(peak_mib <= proposed_mib for _, peak_mib in kept) >= 0.95 * len(kept)


@given(st.integers(128, 80_000), st.integers(1, 500))
def test_what_fills_all_it_is_given_is_not_given_ever_more(given_mib: int, runs: int) -> None:
    footprints = Footprints()
    held_mib = given_mib
    for _ in range(runs):
        footprints.completed(a_job(held_mib), 1.0, held_mib)
        held_mib = footprints.proposal_mib("scan", None) or held_mib

    assert given_mib <= held_mib < given_mib + STEP_MIB


def test_nothing_is_proposed_on_few_runs() -> None:
    footprints = Footprints()
    for _ in range(RUNS_TO_PROPOSE - 1):
        footprints.completed(a_job(), 1.0, 500)

    assert footprints.proposal_mib("scan", None) is None

    footprints.completed(a_job(), 1.0, 500)
    assert footprints.proposal_mib("scan", None) == 640


def test_runs_that_nobody_measured_propose_nothing() -> None:
    footprints = Footprints()
    for _ in range(RUNS_KEPT):
        footprints.completed(a_job(), 1.0, 0)

    assert footprints.proposal_mib("scan", None) is None
    assert footprints.run_s(a_job()) == 1.0


@given(st.integers(0, 80_000), st.integers(0, 80_000), st.integers(0, 80_000), figures)
def test_job_that_ran_out_gets_more_and_never_more_than_there_is(
    had_mib: int, peak_mib: int, most_mib: int, learned: list[float]
) -> None:
    footprints = Footprints()
    for one in learned:
        footprints.completed(a_job(had_mib), 1.0, int(one))

    more_mib = footprints.more_mib(a_job(had_mib), peak_mib, most_mib)

    if more_mib is None:
        assert had_mib >= most_mib
    else:
        assert had_mib < more_mib <= most_mib


@given(st.integers(0, 80_000), st.integers(1, 80_000))
def test_more_and_more_comes_to_all_there_is_in_few_steps(had_mib: int, most_mib: int) -> None:
    footprints = Footprints()
    steps = 0
    while (more_mib := footprints.more_mib(a_job(had_mib), had_mib, most_mib)) is not None:
        had_mib, steps = more_mib, steps + 1

    assert had_mib >= most_mib
    assert steps <= 16


def test_running_out_teaches_that_it_was_too_little() -> None:
    footprints = Footprints()
    for _ in range(RUNS_TO_PROPOSE):
        footprints.ran_out(a_job(1_000), 0)

    proposed_mib = footprints.proposal_mib("scan", None)
    assert proposed_mib is not None
    assert proposed_mib > 1_000


def test_size_class_speaks_for_itself_once_it_has_enough_runs() -> None:
    footprints = Footprints()
    for _ in range(RUNS_KEPT):
        footprints.completed(a_job(), 10.0, 0)
    for number in range(RUNS_OF_A_CLASS):
        large = a_job(size=9)
        assert footprints.run_s(large) == 10.0, f"after {number} runs the type speaks for the class"
        footprints.completed(large, 500.0, 0)

    assert footprints.run_s(a_job(size=9)) == 500.0
    assert footprints.run_s(a_job(size=4)) == 10.0


def test_nothing_is_predicted_of_what_never_ran() -> None:
    footprints = Footprints()

    assert footprints.run_s(a_job()) is None
    assert footprints.end_at(a_job(), START) is None
    assert footprints.of_type("scan") == []


@given(figures, st.floats(0, 2e6))
def test_attempt_is_never_expected_to_have_ended_before(values: list[float], elapsed_s: float) -> None:
    footprints = Footprints()
    for one in values:
        footprints.completed(a_job(), one, 0)

    end_at = footprints.end_at(a_job(started_at=START), START + elapsed_s)

    assert end_at is not None
    assert end_at >= START + elapsed_s


@given(st.lists(st.tuples(st.none() | st.integers(0, 3), st.floats(0, 1e6), mib), max_size=100))
def test_what_is_kept_and_restored_predicts_the_same(runs: list[tuple[int | None, float, int]]) -> None:
    footprints, restored = Footprints(), Footprints()
    for size, run_s, peak_mib in runs:
        footprints.completed(a_job(size=size), run_s, peak_mib)

    kept = footprints.take_changed()
    restored.restore(kept)

    assert restored.of_type("scan") == footprints.of_type("scan")
    assert footprints.take_changed() == []
    footprints.put_back(kept)
    assert footprints.take_changed() == kept


def test_each_size_class_is_twice_as_large_as_the_one_before() -> None:
    assert [size_class(size) for size in (-1, 0, 0.5, 1, 2, 3, 4, 7, 8)] == [0, 0, 0, 1, 2, 2, 3, 3, 4]
