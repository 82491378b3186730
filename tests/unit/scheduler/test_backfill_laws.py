"""The laws of backfill, for any jobs on any cards: promises hold, nothing waits in vain, nobody starves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle
from types import MappingProxyType

from callsheet_scheduler.domain.backfill import Backfill
from callsheet_scheduler.domain.device import DeviceId
from callsheet_scheduler.domain.effects import TurnEffect
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.lanes import place_of
from callsheet_scheduler.domain.limits import SCOPE_OF, Scope
from callsheet_scheduler.domain.outlook import Outlook
from callsheet_scheduler.domain.patience import Policy
from callsheet_scheduler.domain.placing import Bars, Spot, could_run, spot_for
from callsheet_scheduler.domain.reservations import Reservation
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


#: A limit of the whole fleet for one type.
PLACES = st.sampled_from((None, 1, 3))

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


def reached(runs: GpuRuns, fleet: Cards, limits: Mapping[Scope, int] = MappingProxyType({})) -> None:
    host = {SCOPE_OF[Category.GPU_AI]: fleet.inferences, SCOPE_OF[Category.GPU_ENCODE]: 9}
    runs.limit(host=host, fleet=limits)
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


class Compared(Backfill):
    """Compares each choice with that of somebody who looks at everything that waits or is promised."""

    def __init__(self, engine: Engine) -> None:
        rules, footprints = engine.rules.backfill, engine.footprints
        super().__init__(rules, engine.fleet, engine.ledger, engine.queue, engine.pauses, footprints)
        self._known = footprints

    @override
    def choices(self, now: float) -> Iterator[tuple[LiveJob, Spot, int]]:
        for job, spot, session in super().choices(now):
            assert (job, spot) == self._plain(now)
            yield job, spot, session
        assert self._plain(now) is None

    def _plain(self, now: float) -> tuple[LiveJob, Spot] | None:
        """Return the most urgent job that some GPU has room for, and where."""
        found: list[tuple[LiveJob, Spot]] = []
        for lane in self._lanes():
            for job in lane:
                spot = spot_for(self._fleet, self._ledger, job, now, self._plain_bars(job, now))
                if spot is not None:
                    found.append((job, spot))
                if spot is not None or (self._policy is Policy.FIRST_COME and self._could_run(job)):
                    break
        return min(found, key=lambda one: place_of(one[0]), default=None)

    def _could_run(self, job: LiveJob) -> bool:
        return could_run(self._fleet, self._ledger, job)

    def _lanes(self) -> list[list[LiveJob]]:
        """Return what waits, in order: each category by itself where nobody may be overtaken."""
        jobs = self._queue.jobs
        lanes = [
            sorted(place for _, places in lane.rows() for place in places)
            for lane in self._queue.gpu_lanes.values()
        ]
        if self._policy is not Policy.FIRST_COME:
            lanes = [sorted(chain(*lanes))]
        return [[jobs[place[2]] for place in lane] for lane in lanes]

    def _plain_bars(self, job: LiveJob, now: float) -> Bars:
        before = [one for one in self.reservations.kept if one.place < place_of(job)]
        outlook = Outlook(self._fleet, self._ledger, self._queue.jobs, self._known, now)

        def bar(worker: Worker, device: DeviceId | None) -> Reservation | None:
            needs = outlook.needs(job, worker, device)
            for one in before:
                for key in one.needs.keys() & needs.keys() if outlook.until(job) > one.at else ():
                    others = [
                        other.needs[key]
                        for other in before
                        if key in other.needs and (other is one or other.at <= one.at < other.until)
                    ]
                    if not outlook.pool(key).has_at(one.at, needs[key], others):
                        return one
            return None

        return bar


@settings(max_examples=60, deadline=None)
@given(fleet=FLEETS, wanted=st.lists(WANTED, max_size=25), policy=st.sampled_from(Policy), places=PLACES)
def test_choices_are_those_of_a_look_at_everything(
    fleet: Cards, wanted: list[Wanted], policy: Policy, places: int | None
) -> None:
    engine = engine_with(policy, patience_s=20.0)
    engine.backfill = Compared(engine)
    runs = GpuRuns(engine=engine)
    reached(runs, fleet, {} if places is None else {Scope("a1"): places})
    let_come(runs, wanted, fleet)
    runs.go(tick_s=10.0)


#: Where turns shall be long, jobs come and end at multiples of so many seconds.
STEP_S = 300


@dataclass
class Parted(GpuRuns):
    """A fleet whose turns are written in parts, with a pass after each."""

    sizes: Sequence[int] = (1_000,)

    @override
    def commit_turn(self) -> None:
        left, later = self.engine.turn[:], list[TurnEffect]()
        for size in cycle(self.sizes):
            self.engine.turn[:], left = left[:size], left[size:]
            super().commit_turn()
            later += self.engine.turn
            if not left:
                break
        self.engine.turn[:] = later


def story(
    fleet: Cards, wanted: list[Wanted], patience_s: float, *, sizes: Sequence[int], stretch: Sequence[float]
) -> list[object]:
    """Return of each job when it started, where, and what was promised to it.

    Many end at one instant, so that turns are long; *stretch* says how wrong the predictions are.
    """
    runs = Parted(engine=engine_with(patience_s=patience_s), sizes=sizes)
    reached(runs, fleet)
    jobs = let_come(runs, [replace(one, after_s=one.after_s // STEP_S * STEP_S) for one in wanted], fleet)
    for job, factor in zip(jobs, cycle(stretch), strict=False):
        runs.run_s[job.id] = max(STEP_S, runs.run_s[job.id] * factor // STEP_S * STEP_S)
    runs.go(tick_s=10.0)
    return [(runs.started_at[job.id], job.device, runs.promises.get(job.id)) for job in jobs]


@settings(max_examples=40, deadline=None)
@given(
    fleet=FLEETS,
    wanted=st.lists(WANTED, max_size=25),
    patience_s=st.sampled_from((0.0, 20.0, 100.0)),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    stretch=st.lists(st.sampled_from((0.5, 1.0, 2.0)), min_size=1, max_size=4),
)
def test_any_split_of_turns_gives_the_same_grants_and_promises(
    fleet: Cards, wanted: list[Wanted], patience_s: float, sizes: list[int], stretch: list[float]
) -> None:
    whole = story(fleet, wanted, patience_s, sizes=[1_000], stretch=stretch)
    assert story(fleet, wanted, patience_s, sizes=sizes, stretch=stretch) == whole


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
