"""Instants never step back, neither within a leadership nor from one to the next."""

from callsheet_scheduler.domain.instants import STEP_BACK_MAX_S, Instants
from hypothesis import given
from hypothesis import strategies as st

instants = st.floats(min_value=1e9, max_value=4e9)
spans = st.floats(min_value=0, max_value=1e6)


@given(began_at=instants, ahead_s=st.floats(-1e6, STEP_BACK_MAX_S), spans=st.lists(spans, min_size=2))
def test_instants_never_step_back_however_little_the_database_is_behind(
    began_at: float, ahead_s: float, spans: list[float]
) -> None:
    earlier = began_at + ahead_s
    told = [Instants(began_at=began_at, last_at=earlier).after(span) for span in sorted(spans)]

    assert told == sorted(told)
    assert told[0] >= earlier or Instants(began_at=began_at, last_at=earlier).steps_back


@given(began_at=instants, ahead_s=st.floats(0, STEP_BACK_MAX_S), elapsed_s=spans)
def test_instants_come_back_to_the_time_of_the_database(
    began_at: float, ahead_s: float, elapsed_s: float
) -> None:
    ahead_then_s = Instants(began_at=began_at, last_at=began_at + ahead_s).after(elapsed_s) - (
        began_at + elapsed_s
    )

    assert -1e-6 <= ahead_then_s <= max(0.0, ahead_s - elapsed_s / 2) + 1e-6


def test_a_clock_that_stepped_back_far_is_taken_over() -> None:
    stepped = Instants(began_at=2e9, last_at=2e9 + STEP_BACK_MAX_S + 1)

    assert stepped.steps_back
    assert stepped.after(10.0) == 2e9 + 10.0


def test_the_first_leader_has_the_time_of_the_database() -> None:
    assert Instants(began_at=2e9, last_at=0.0).after(10.0) == 2e9 + 10.0
