"""A simulated mix: its laws hold under each policy, and its waits are those that theory knows."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.patience import Policy
from callsheet_scheduler.simulate.arrivals import MARGIN_MIB, draw, work_per_job
from callsheet_scheduler.simulate.figures import Summary, Tally
from callsheet_scheduler.simulate.mix import Mix, parse_mix
from callsheet_scheduler.simulate.run import START, Run
from callsheet_scheduler.simulate.study import changed, rules_of, simulate
from typing_extensions import override

from callsheet.catalog import Category

EXAMPLE = files("callsheet_scheduler.simulate").joinpath("example.toml").read_text("utf-8")
NOWHERE = Path("nowhere")

ONE_CARD = """
[hosts.atlas]
gpus = [{ memory_mb = 16896 }]
[limits]
gpu_encode = 4
gpu_ai = 1
"""


class Span(NamedTuple):
    """One attempt."""

    job: str
    where: str
    since: float
    until: float
    vram_mib: int
    state: JobState


class Spans(Tally):
    """Keeps every attempt as well."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names, float("inf"), START)
        self.spans: list[Span] = []
        self.hosts: dict[tuple[str, Category], list[Span]] = defaultdict(list)

    @override
    def ended(self, job: LiveJob, since: float, now: float, state: JobState) -> None:
        super().ended(job, since, now, state)
        span = Span(job.id, job.device or "", since, now, job.vram_mib, state)
        self.spans.append(span)
        self.hosts[job.host or "", job.category].append(span)


def ignore(_over: int, _jobs: int) -> None:
    """Nobody looks."""


def ran(mix: Mix, policy: Policy, seed: int = 1) -> Spans:
    arrivals = draw(mix, seed, NOWHERE)
    run = Run(mix, arrivals, rules_of(mix, policy), seed)
    run.tally = spans = Spans(arrivals.names)
    run.go(ignore)
    return spans


def summary(mix: Mix, policy: Policy = Policy.EASY, *seeds: int) -> Summary:
    [one] = simulate(mix, (policy,), seeds or (1,), NOWHERE, lambda _policy, _seed: ignore)
    return one


def most_at_once(spans: Iterable[Span], *, memory: bool) -> int:
    """Return the most that is held at one instant; what ends at it makes room first."""
    steps = [
        step
        for span in spans
        for step in (
            (span.since, 1, span.vram_mib if memory else 1),
            (span.until, 0, -span.vram_mib if memory else -1),
        )
    ]
    return max(accumulate(amount for _, _, amount in sorted(steps)))


@pytest.mark.parametrize("policy", Policy)
def test_example_keeps_its_laws_under_each_policy(policy: Policy) -> None:
    mix = changed(parse_mix(EXAMPLE), load=None, jobs=2_000)
    spans = ran(mix, policy)
    [host] = mix.hosts.values()
    sizes = {f"atlas GPU {index}": card.memory_mb - MARGIN_MIB for index, card in enumerate(host.gpus)}
    on_gpus: dict[str, list[Span]] = defaultdict(list)
    for span in spans.spans:
        on_gpus[span.where].append(span)
    on_gpus.pop("", None)
    assert set(on_gpus) == set(sizes)
    for device, attempts in on_gpus.items():
        assert most_at_once(attempts, memory=True) <= sizes[device]
    for (_, category), attempts in spans.hosts.items():
        assert most_at_once(attempts, memory=False) <= mix.limits.of(category)
    done = Counter(span.job for span in spans.spans if span.state is JobState.COMPLETED)
    assert (len(done), set(done.values())) == (2_000, {1})
    assert (spans.completed, spans.failed, spans.retries) == (2_000, 0, 0)
    assert sum(map(len, spans.waits)) == 2_000


def test_figures_of_a_mix_add_up() -> None:
    mix = changed(parse_mix(EXAMPLE), load=0.7, jobs=1_500)
    one = summary(mix, Policy.EASY, 3, 4)
    assert (one.jobs, one.completed, one.failed, one.left) == (3_000, 3_000, 0, 0)
    kinds = [waits for name, waits in one.waits.items() if name != "all"]
    whole = one.waits["all"]
    assert sum(waits.jobs for waits in kinds) == whole.jobs == 3_000
    mean_s = sum(waits.mean_s * waits.jobs for waits in kinds) / 3_000
    assert whole.mean_s == pytest.approx(mean_s)
    assert all(0 < share <= 1 for share in [*one.busy.values(), *one.charged.values()])
    assert sum(one.charged.values()) / 3 == pytest.approx(0.7, rel=0.1)


def test_same_seed_gives_the_same_figures_and_another_gives_others() -> None:
    mix = changed(parse_mix(EXAMPLE), load=None, jobs=800)
    assert summary(mix) == summary(mix)
    assert summary(mix).waits != summary(mix, Policy.EASY, 2).waits


def test_waits_at_one_place_are_those_of_queueing_theory() -> None:
    """One place, independent arrivals, fixed work s at load r: the mean wait is r s / (2 (1 - r))."""
    mix = parse_mix(
        """
        arrivals = { process = "poisson", load = 0.8, jobs = 40000 }
        limits = { cpu = 1 }
        [hosts.atlas]
        [jobs.validate]
        category = "cpu"
        run_s = 10
        """
    )
    one = summary(mix)
    assert one.waits["validate"].mean_s == pytest.approx(20.0, rel=0.05)
    assert one.busy["cpu"] == pytest.approx(0.8, rel=0.02)
    assert one.waits["validate"].passed_max == 0


def test_load_is_of_what_is_scarcest() -> None:
    memory = parse_mix(
        'arrivals = { process = "at_once", jobs = 1 }'
        + ONE_CARD
        + '[jobs.big]\ncategory = "gpu_encode"\nvram_mb = 16384\nrun_s = 60\n'
    )
    work_s, scarcest = work_per_job(memory)
    assert (round(work_s, 6), scarcest) == (60.0, "memory of the GPUs")
    places = parse_mix(
        'arrivals = { process = "at_once", jobs = 1 }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_ai"\nvram_mb = 1024\n'
        + "run_s = { choice = [10, 30], weights = [3, 1] }\n"
    )
    work_s, scarcest = work_per_job(places)
    assert (round(work_s, 6), scarcest) == (15.0, "places for gpu_ai jobs")


def test_jobs_that_are_there_at_once_keep_all_places_busy() -> None:
    mix = parse_mix(
        'arrivals = { process = "at_once", jobs = 400 }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_encode"\nvram_mb = 4000\nrun_s = 10\n'
    )
    one = summary(mix)
    assert one.makespan_s == pytest.approx(1_000.0)
    assert one.busy["gpu_encode"] == pytest.approx(1.0)
    assert one.charged == {"atlas GPU 0": pytest.approx(16_000 / 16_384)}


def test_attempts_that_fail_go_again_and_count() -> None:
    mix = parse_mix(
        'arrivals = { process = "poisson", load = 0.3, jobs = 1000 }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_encode"\nvram_mb = 4000\nrun_s = 10\nfails = 0.3\n'
    )
    one = summary(mix)
    assert one.completed + one.failed == 1_000
    assert one.failed == pytest.approx(1_000 * 0.3**4, abs=8)
    assert one.retries == pytest.approx(1_000 * (0.3 + 0.3**2 + 0.3**3), rel=0.15)


def test_jobs_that_fit_nowhere_are_told_and_hold_nobody_up() -> None:
    mix = parse_mix(
        'arrivals = { process = "poisson", load = 0.5, jobs = 300 }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_encode"\nvram_mb = 4000\nrun_s = 10\n'
        + '[jobs.huge]\ncategory = "gpu_ai"\nvram_mb = 20000\nrun_s = 10\n'
    )
    for policy in Policy:
        one = summary(mix, policy)
        assert one.completed == one.waits["small"].jobs
        assert one.left == 300 - one.completed > 0


@pytest.mark.parametrize(
    ("policy", "starts_within_s"), [(Policy.EASY, 660.0), (Policy.FULL_RESERVATION, 100.0)]
)
def test_big_job_behind_an_endless_stream_of_small_ones_starts_within_its_bound(
    tmp_path: Path, policy: Policy, starts_within_s: float
) -> None:
    """Small ones of 40 s keep three quarters of the card busy; the bound is patience and one of them."""
    skipped, kept = (stream(tmp_path, one) for one in (Policy.SKIP_AHEAD, policy))
    assert skipped.waits["big"].max_s > 3_000
    assert kept.waits["big"].max_s <= starts_within_s
    assert kept.waits["big"].passed_max == 0
    assert kept.completed == skipped.completed == 401


def stream(folder: Path, policy: Policy) -> Summary:
    lines = ["at_s,job", "1000,big", *(f"{10 * number},small" for number in range(400))]
    (folder / "jobs.csv").write_text("\n".join(lines))
    mix = parse_mix(
        'arrivals = { process = "recorded", file = "jobs.csv" }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_encode"\nvram_mb = 4000\nrun_s = 40\n'
        + '[jobs.big]\ncategory = "gpu_ai"\nvram_mb = 12000\nrun_s = 60\n'
    )
    [one] = simulate(mix, (policy,), (1,), folder, lambda _policy, _seed: ignore)
    return one


CROWD = """
patience_s = 20
limits = { gpu_encode = 9, gpu_ai = 6 }
[jobs.small]
category = "gpu_encode"
vram_mb = 3000
run_s = { median = 40, sigma = 0.5 }
share = 8
[jobs.medium]
category = "gpu_ai"
vram_mb = 6000
run_s = { median = 60, sigma = 0.5 }
share = 4
[jobs.big]
category = "gpu_ai"
vram_mb = 12000
run_s = { median = 90, sigma = 0.5 }
"""


@pytest.mark.parametrize(
    ("policy", "calls_max"), [(Policy.FIRST_COME, 500), (Policy.SKIP_AHEAD, 500), (Policy.EASY, 2_000)]
)
def test_job_costs_no_more_work_on_a_larger_fleet_with_more_jobs_waiting(
    policy: Policy, calls_max: int
) -> None:
    small, large = (calls_per_job(policy, hosts) for hosts in (48, 96))
    assert large < 1.2 * small
    assert large < calls_max


def calls_per_job(policy: Policy, hosts: int, jobs_each: int = 6) -> float:
    """Return how many calls of Python functions a job costs where all wait from the beginning."""
    jobs = hosts * jobs_each
    mix = parse_mix(
        f'arrivals = {{ process = "at_once", jobs = {jobs} }}\n'
        f"hosts = {{ atlas = {{ count = {hosts}, gpus = [{{ memory_mb = 16384 }}] }} }}\n" + CROWD
    )
    run, calls = Run(mix, draw(mix, 1, NOWHERE), rules_of(mix, policy), 1), 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert run.go(ignore).completed == jobs
    finally:
        sys.setprofile(before)
    return calls / jobs


def test_recorded_jobs_come_as_they_did(tmp_path: Path) -> None:
    rows = ["job,at_s,run_s,vram_mb,priority", "small,100,30,16000,1", "small,90,20,,", "small,95,10,,"]
    (tmp_path / "jobs.csv").write_text("\n".join(rows))
    mix = parse_mix(
        'arrivals = { process = "recorded", file = "jobs.csv" }'
        + ONE_CARD
        + '[jobs.small]\ncategory = "gpu_encode"\nvram_mb = 9000\nrun_s = 5\n'
    )
    arrivals = draw(mix, 1, tmp_path)
    assert list(arrivals.at_s) == [0.0, 5.0, 10.0]
    assert list(arrivals.run_s) == [20.0, 10.0, 30.0]
    assert list(arrivals.vram_mib) == [9_000, 9_000, 16_000]
    assert list(arrivals.priority) == [5, 5, 1]
