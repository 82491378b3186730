"""How long jobs wait before their first attempts, by the hour of these."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.queue import HOUR_S


class WaitKey(NamedTuple):
    """Of which jobs."""

    hour: float
    """When the hour of the grant began, seconds since 1970."""
    type: str
    category: Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What is known of the waits of some jobs."""

    key: WaitKey
    jobs: int
    wait_s: float
    """Of all of them together."""
    longest_wait_s: float


def wait_s_of(job: LiveJob, now: float) -> float | None:
    """Return how long a job that is granted *now* waited since it might have started.

    None for all but a first attempt, and for a job that needed others: it waited for these.
    """
    if job.attempt != 1 or (job.ties is not None and job.ties.needs):
        return None
    return max(0.0, now - max(job.created_at, job.run_at or 0.0))


class Waits:
    """Waits since they were last taken to be written."""

    def __init__(self) -> None:
        self._sums: dict[WaitKey, list[float]] = {}

    def add(self, job_type: str, category: Category, waits_s: Sequence[float], now: float) -> None:
        """Count jobs that are granted *now*, by how long each waited."""
        key = WaitKey(now // HOUR_S * HOUR_S, job_type, category)
        sums = self._sums.setdefault(key, [0.0, 0.0, 0.0])
        sums[0] += len(waits_s)
        sums[1] += sum(waits_s)
        sums[2] = max(sums[2], *waits_s)

    def all(self) -> list[Wait]:
        """Return what was counted."""
        return [
            Wait(key=key, jobs=int(jobs), wait_s=wait_s, longest_wait_s=longest_wait_s)
            for key, (jobs, wait_s, longest_wait_s) in sorted(self._sums.items())
        ]

    def take(self) -> list[Wait]:
        """Return what was counted, and begin again."""
        taken = self.all()
        self._sums.clear()
        return taken


def joined(waits: Iterable[Wait]) -> Sequence[Wait]:
    """Return the sums of what is of the same jobs, in the order of their keys."""
    sums: dict[WaitKey, Wait] = {}
    for one in waits:
        before = sums.get(one.key)
        sums[one.key] = (
            one
            if before is None
            else replace(
                one,
                jobs=before.jobs + one.jobs,
                wait_s=before.wait_s + one.wait_s,
                longest_wait_s=max(before.longest_wait_s, one.longest_wait_s),
            )
        )
    return [sums[key] for key in sorted(sums)]
