"""The whole system, whatever happens to it: each seed is a run that can be had again.

`make test/simulation` runs thousands of seeds, ``SEEDS=1000:2000`` chooses them, ``SEEDS=413`` a single one.
A run that breaks a law prints its seed.
"""

import os

import pytest

from tests.support.simulator.laws import LawBrokenError
from tests.support.simulator.world import simulate

#: Seeds of every test run, in groups that can run side by side.
SEEDS = range(240)
GROUP = 20


def _chosen() -> list[range]:
    text = os.environ.get("SIMULATION_SEEDS", "")
    first, _, end = text.partition(":")
    seeds = SEEDS if not text else range(int(first), int(end or int(first) + 1))
    return [seeds[start : start + GROUP] for start in range(0, len(seeds), GROUP)]


@pytest.mark.parametrize("seeds", _chosen(), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_nothing_is_lost_or_doubled_and_every_law_holds(seeds: range) -> None:
    broken: list[str] = []
    for seed in seeds:
        try:
            simulate(seed)
        except LawBrokenError as error:
            broken.append(f"{error} (again: make test/simulation SEEDS={seed})")
    assert not broken, "\n".join(broken)


def test_seed_decides_everything_that_happens() -> None:
    assert simulate(7) == simulate(7)


def test_faults_do_happen() -> None:
    reports = [simulate(seed) for seed in range(6)]
    assert any(report.unknown for report in reports)
    assert any(report.terms > 1 for report in reports)
    assert all(report.states["COMPLETED"] for report in reports)
