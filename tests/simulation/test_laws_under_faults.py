"""The whole system, whatever happens to it: each seed is a run that can be had again.

`make test/simulation` runs thousands of seeds, ``SEEDS=1000:2000`` chooses them, ``SEEDS=413`` a single one.
A run that breaks a law prints its seed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.simulator.laws import LawBrokenError
from tests.support.simulator.world import simulate

#: Seeds of every test run, in groups that can run side by side.
SEEDS = range(240)
GROUP = 20

#: A run with takeovers, lost leases, GPUs that are kept, and who is let pass.
SEED = 7


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
    assert simulate(SEED) == simulate(SEED)


def test_order_of_hashes_decides_nothing() -> None:
    code = f"from tests.support.simulator.world import simulate; print(simulate({SEED}))"
    reports = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": hashes},
            cwd=Path(__file__).parents[2],
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(reports) == 1
    assert f"seed={SEED}" in reports.pop()


def test_faults_do_happen() -> None:
    reports = [simulate(seed) for seed in range(6)]
    assert any(report.unknown for report in reports)
    assert any(report.terms > 1 for report in reports)
    assert any(report.passers for report in reports)
    assert all(report.states["COMPLETED"] for report in reports)
