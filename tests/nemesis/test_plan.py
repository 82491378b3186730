"""A seed says what a round does."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.nemesis.plan import FAULTS_MAX, KINDS, LAST_S, plan


@given(st.integers(0, 10**9))
def test_the_same_seed_plans_the_same_round(seed: int) -> None:
    assert plan(seed) == plan(seed)


@given(st.integers(0, 10**9))
def test_a_round_has_a_few_faults_while_clients_make_calls(seed: int) -> None:
    planned = plan(seed)

    assert 1 <= len(planned.faults) <= FAULTS_MAX
    assert all(0 < fault.at_s <= LAST_S for fault in planned.faults)


def test_two_hundred_rounds_have_every_kind_of_fault() -> None:
    drawn = Counter(fault.kind for seed in range(1, 201) for fault in plan(seed).faults)

    assert set(drawn) == KINDS


@given(st.integers(0, 10**9), st.sets(st.sampled_from(sorted(KINDS)), max_size=len(KINDS) - 1))
def test_what_a_machine_does_not_allow_is_not_planned(seed: int, without: set[str]) -> None:
    assert not without & {fault.kind for fault in plan(seed, without=sorted(without)).faults}
