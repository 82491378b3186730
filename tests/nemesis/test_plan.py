"""A seed says what a round does."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.nemesis.plan import FAULTS_MAX, FIRST_S, KINDS, LAST_S, LOAD_S, plan


@given(st.integers(0, 10**9))
def test_the_same_seed_plans_the_same_round(seed: int) -> None:
    assert plan(seed) == plan(seed)


def test_rounds_have_from_one_to_a_few_faults() -> None:
    drawn = {len(plan(seed).faults) for seed in range(1, 201)}

    assert drawn == set(range(1, FAULTS_MAX + 1))


@given(st.integers(0, 10**9))
def test_faults_strike_in_order_while_clients_make_calls(seed: int) -> None:
    instants = [fault.at_s for fault in plan(seed).faults]

    assert instants == sorted(instants)
    assert instants[0] >= FIRST_S
    assert instants[-1] <= LAST_S < LOAD_S


def test_two_hundred_rounds_have_every_kind_of_fault() -> None:
    drawn = Counter(fault.kind for seed in range(1, 201) for fault in plan(seed).faults)

    assert set(drawn) == KINDS


@given(st.integers(0, 10**9), st.sets(st.sampled_from(sorted(KINDS)), max_size=len(KINDS) - 1))
def test_what_a_machine_does_not_allow_is_not_planned(seed: int, without: set[str]) -> None:
    assert not without & {fault.kind for fault in plan(seed, without=sorted(without)).faults}
