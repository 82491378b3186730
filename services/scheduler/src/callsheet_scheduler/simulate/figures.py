"""What came of a run: how long jobs waited, how busy the fleet was, and who was passed by whom."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from sortedcontainers import SortedList

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import JobState, LiveJob

#: Shares of the jobs that waited no longer than the figures say.
SHARES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long jobs of one kind waited from their arrival to their first lease, in seconds."""

    jobs: int
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    passed_mean: float
    """Jobs of the same category and priority that came later and went first."""
    passed_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One policy, over all its seeds."""

    policy: str
    seeds: tuple[int, ...]
    jobs: int
    completed: int
    failed: int
    left: int
    """Jobs that never started, since nothing in the fleet is large enough."""
    retries: int
    makespan_s: float
    """From the first arrival to the last end; the mean of the seeds."""
    per_hour: float
    """Jobs that ended in an hour of that."""
    waits: Mapping[str, Waits]
    """By kind of job, and of all."""
    mean_waits_s: Mapping[str, tuple[float, ...]]
    """The mean wait of each kind in each seed."""
    busy: Mapping[str, float]
    """By category: the share of its places that were taken while jobs arrived."""
    charged: Mapping[str, float]
    """By GPU: the share of its memory that was charged while jobs arrived."""


class Tally:
    """Counts while a run goes on."""

    def __init__(self, names: Sequence[str], window_s: float, began_at: float) -> None:
        self.names = names
        self.window_s = window_s
        """Until when the fleet's use counts; infinite for the whole run."""
        self._began_at = began_at
        self.waits = [array("d") for _ in names]
        self.passed = [array("l") for _ in names]
        self.completed = self.failed = self.retries = 0
        self.last_end_s = 0.0
        self.work_s: dict[Category, float] = dict.fromkeys(Category, 0.0)
        self.held_mib_s: dict[str, float] = {}
        self._began: dict[tuple[Category, int], SortedList[int]] = {}

    def granted(self, job: LiveJob, sort: int, now: float) -> None:
        """A job got its first lease."""
        self.waits[sort].append(now - job.created_at)
        others = self._began.setdefault((job.category, job.priority), SortedList())
        self.passed[sort].append(len(others) - others.bisect_right(job.sequence))
        others.add(job.sequence)

    def ended(self, job: LiveJob, since: float, now: float, state: JobState) -> None:
        """An attempt that was granted at *since* is over, and the job is in *state*."""
        end_s = now - self._began_at
        self.last_end_s = max(self.last_end_s, end_s)
        self.completed += state is JobState.COMPLETED
        self.failed += state is JobState.FAILED
        self.retries += state is JobState.PENDING
        counted_s = min(end_s, self.window_s) - (since - self._began_at)
        if counted_s > 0:
            self.work_s[job.category] += counted_s
            if job.device is not None:
                held = self.held_mib_s.get(job.device, 0.0)
                self.held_mib_s[job.device] = held + counted_s * job.vram_mib

    @property
    def measured_s(self) -> float:
        """For how long the fleet's use was counted."""
        return min(self.window_s, self.last_end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a fleet has."""

    places: Mapping[Category, int]
    usable_mib: Mapping[str, int]
    """By GPU."""
    group: Mapping[str, str]
    """By GPU: the one that it is shown as; those of hosts that are alike are shown together."""


def summarize(policy: str, seeds: Sequence[int], runs: Sequence[Tally], has: Capacity, jobs: int) -> Summary:
    """Return what came of *runs*, one for each of *seeds*, of *jobs* jobs in all."""
    names = runs[0].names
    completed, failed = sum(run.completed for run in runs), sum(run.failed for run in runs)
    makespan_s = sum(run.last_end_s for run in runs) / len(runs)
    measured_s = sum(run.measured_s for run in runs) or 1.0
    waits = {
        name: _waits([run.waits[number] for run in runs], [run.passed[number] for run in runs])
        for number, name in enumerate(names)
    }
    whole = _waits([one for run in runs for one in run.waits], [one for run in runs for one in run.passed])
    return Summary(
        policy=policy,
        seeds=tuple(seeds),
        jobs=jobs,
        completed=completed,
        failed=failed,
        left=jobs - completed - failed,
        retries=sum(run.retries for run in runs),
        makespan_s=makespan_s,
        per_hour=3600 * (completed + failed) / (len(runs) * makespan_s) if makespan_s else 0.0,
        waits=waits | {"all": whole},
        mean_waits_s={
            name: tuple(_mean(run.waits[number]) for run in runs) for number, name in enumerate(names)
        },
        busy={
            category.name.lower(): sum(run.work_s[category] for run in runs) / places / measured_s
            for category, places in has.places.items()
            if places
        },
        charged=_charged(runs, has, measured_s),
    )


def _charged(runs: Sequence[Tally], has: Capacity, measured_s: float) -> dict[str, float]:
    held: dict[str, float] = {}
    usable: dict[str, float] = {}
    for device, usable_mib in has.usable_mib.items():
        group = has.group[device]
        usable[group] = usable.get(group, 0.0) + usable_mib
        held[group] = held.get(group, 0.0) + sum(run.held_mib_s.get(device, 0.0) for run in runs)
    return {group: held[group] / usable[group] / measured_s for group in usable}


def _waits(waits_s: Iterable["array[float]"], passed: Iterable["array[int]"]) -> Waits:
    ordered = sorted(wait_s for one in waits_s for wait_s in one)
    counts = [count for one in passed for count in one]
    p50_s, p95_s, p99_s = (_quantile(ordered, share) for share in SHARES)
    return Waits(
        jobs=len(ordered),
        mean_s=_mean(ordered),
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        max_s=ordered[-1] if ordered else 0.0,
        passed_mean=_mean(counts),
        passed_max=max(counts, default=0),
    )


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures) if figures else 0.0


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the least figure that *share* of *ordered* do not exceed; 0 of none."""
    return ordered[max(1, ceil(share * len(ordered))) - 1] if ordered else 0.0
