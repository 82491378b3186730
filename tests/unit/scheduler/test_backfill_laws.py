"""The laws of backfill, for any jobs on any cards: promises hold, nothing waits in vain, nobody starves."""

from dataclasses import dataclass

from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.lanes import place_of
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.domain.patience import Policy
from callsheet_scheduler.domain.placing import spot_for
from callsheet_scheduler.use_cases.waiting import waiting_reason
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from callsheet.catalog import Category
from tests.support.gpu_fleet import card, infer
from tests.support.gpu_runs import GpuRuns, engine_with

#: Types by name, each with what its jobs take; those that encode begin with an e.
TYPES = {"e1": 30.0, "e2": 200.0, "a1": 40.0, "a2": 300.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A job that comes."""

    name: str
    after_s: int
    vram_mib: int


WANTED = st.builds(
    Wanted,
    name=st.sampled_from(sorted(TYPES)),
    after_s=st.integers(0, 600),
    vram_mib=st.sampled_from((500, 2_000, 3_000, 5_000, 8_000, 12_000, 15_000)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What there is to run them on."""

    mib: list[int]
    sessions: int | None
    slots: int
    inferences: int


FLEETS = st.builds(
    Cards,
    mib=st.lists(st.sampled_from((16_000, 12_000)), min_size=1, max_size=3),
    sessions=st.sampled_from((1, 2, None)),
    slots=st.integers(1, 6),
    inferences=st.integers(1, 4),
)


class Watched(GpuRuns):
    """A fleet that judges itself at every instant."""

    @override
    def _happen(self) -> None:
        super()._happen()
        engine = self.engine
        waiting = [job for job in engine.queue.jobs.values() if job.state is JobState.PENDING]
        for job in waiting:
            assert waiting_reason(engine, job, self.now), f"{job.id} has no reason to wait"
            spot = spot_for(engine.fleet, engine.ledger, job, self.now)
            assert spot is None or self.reservations(), f"{job.id} could run and no card is kept for another"
        for one in self.reservations():
            assert one.job in waiting


def reached(runs: GpuRuns, fleet: Cards) -> None:
    runs.limit(host={SCOPE_OF[Category.GPU_AI]: fleet.inferences, SCOPE_OF[Category.GPU_ENCODE]: 9})
    runs.know(TYPES)
    cards = [
        card(f"GPU-{number}", mib, index=number, sessions=fleet.sessions)
        for number, mib in enumerate(fleet.mib)
    ]
    runs.hello("w1", types=sorted(TYPES), cards=cards, slots=fleet.slots)


def let_come(runs: GpuRuns, wanted: list[Wanted], fleet: Cards) -> list[LiveJob]:
    """Let the jobs come that some card can hold."""
    jobs: list[LiveJob] = []
    for one in wanted:
        if one.vram_mib <= max(fleet.mib):
            encodes = one.name.startswith("e")
            category = Category.GPU_ENCODE if encodes else Category.GPU_AI
            job = infer(runs, one.vram_mib, type=one.name, category=category)
            jobs.append(runs.arrive(job, run_s=TYPES[one.name], after_s=one.after_s))
    return jobs


@settings(max_examples=50, deadline=None)
@given(fleet=FLEETS, wanted=st.lists(WANTED, max_size=25), patience_s=st.sampled_from((0.0, 20.0, 100.0)))
def test_only_the_more_urgent_put_a_promise_off_where_jobs_run_as_long_as_known(
    fleet: Cards, wanted: list[Wanted], patience_s: float
) -> None:
    runs = Watched(engine=engine_with(patience_s=patience_s))
    reached(runs, fleet)
    jobs = let_come(runs, wanted, fleet)
    runs.go(tick_s=10.0)
    assert all(job.id in runs.ended_at for job in jobs)
    for job_id, (made_at, at) in runs.promises.items():
        place = next(place_of(job) for job in jobs if job.id == job_id)
        before = [job.id for job in jobs if place_of(job) < place]
        if not any(runs.started_at[other] >= made_at for other in before):
            assert runs.started_at[job_id] <= at


@settings(max_examples=20, deadline=None)
@given(fleet=FLEETS, wanted=st.lists(WANTED, max_size=15), policy=st.sampled_from(Policy))
def test_every_policy_lets_everybody_run(fleet: Cards, wanted: list[Wanted], policy: Policy) -> None:
    runs = GpuRuns(engine=engine_with(policy))
    reached(runs, fleet)
    jobs = let_come(runs, wanted, fleet)
    runs.go(tick_s=10.0)
    assert all(job.id in runs.ended_at for job in jobs)
