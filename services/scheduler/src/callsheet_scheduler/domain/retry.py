"""What becomes of a job when an attempt ended without success."""

from dataclasses import dataclass, replace
from typing import Final

from callsheet_scheduler.domain.job import LOST_MAX, ItemInHand, LiveJob
from callsheet_scheduler.domain.outcome import Ending

#: Attempts that may end for want of memory, disk or encoder sessions.
CAPACITY_MAX: Final = 10

#: Attempts that may end for want of GPU memory: each has half as much again as the one before.
OUT_OF_VRAM_MAX: Final = 10

#: How often a job may yield to others.
YIELDS_MAX: Final = 100

#: Seconds before a job that met a want of capacity goes again.
CAPACITY_DELAY_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """The delay before retry *n* is ``base_s * 2**n``, at most *cap_s*."""

    base_s: float = 60.0
    cap_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do with the job, and its counts afterwards."""

    again: bool
    """Back to pending, or to paused where *paused* says so; otherwise it is failed, or cancelled where
    *cancelled* says so."""
    paused: bool = False
    cancelled: bool = False
    retry_after: float | None = None
    retry_count: int
    lost_count: int = 0
    capacity_count: int
    out_of_vram_count: int = 0
    vram_mib: int | None = None
    """What its leases are charged with from now on; None for what they were."""
    error: str | None


def judge(
    job: LiveJob,
    ending: Ending,
    reason: str,
    rules: RetryRules,
    now: float,
    *,
    more_mib: int | None = None,
    culprit: ItemInHand | None = None,
) -> Verdict:
    """Decide what becomes of *job* after an attempt that did not complete.

    *more_mib* is what it could have of a GPU if it went again for want of that; None where none has more.
    *culprit* is the one item that its workers were lost at, where that is known.
    """
    if job.cancel_requested_at is not None:
        return _verdict(job, again=False, cancelled=True, error=job.error)
    match ending:
        case Ending.BAD_INPUT:
            verdict = _verdict(job, again=False, error=reason)
        case Ending.RETURNED | Ending.PAUSED:
            verdict = _verdict(job, again=True, error=job.error, lost_count=job.lost_count)
        case Ending.YIELDED if job.yields < YIELDS_MAX:
            verdict = _verdict(job, again=True, error=None)
        case Ending.YIELDED:
            error = f"It yielded {YIELDS_MAX} times and would yield again; no job may more often"
            verdict = _verdict(job, again=False, error=error)
        case Ending.LOST:
            verdict = _after_loss(job, reason, culprit)
        case Ending.OUT_OF_VRAM:
            verdict = _after_want_of_vram(job, reason, more_mib)
        case Ending.CAPACITY if job.capacity_count < CAPACITY_MAX:
            verdict = _verdict(
                job,
                again=True,
                retry_after=now + CAPACITY_DELAY_S,
                capacity_count=job.capacity_count + 1,
                error=reason,
            )
        case _:
            verdict = _after_failure(job, reason, rules, now)
    return verdict


def _after_loss(job: LiveJob, reason: str, culprit: ItemInHand | None) -> Verdict:
    if culprit is not None:
        error = f"{LOST_MAX} workers in a row were lost at the item {culprit.item_id}; it goes on without it"
        return _verdict(job, again=True, error=error)
    lost_count = job.lost_count + 1
    if lost_count < LOST_MAX:
        return _verdict(job, again=True, lost_count=lost_count, error=reason)
    poison = f"{LOST_MAX} workers in a row were lost while they ran this job; its media may be the cause"
    return _verdict(job, again=False, lost_count=lost_count, error=poison)


def _after_want_of_vram(job: LiveJob, reason: str, more_mib: int | None) -> Verdict:
    """Never the same again: what was too little once is too little twice."""
    if more_mib is None:
        error = f"{reason}; it had {job.vram_mib} MB, and no GPU has more to give"
        return _verdict(job, again=False, error=error)
    if job.out_of_vram_count >= OUT_OF_VRAM_MAX:
        error = (
            f"{reason}; {OUT_OF_VRAM_MAX + 1} attempts ran out of GPU memory, the last with {job.vram_mib} MB"
        )
        return _verdict(job, again=False, error=error)
    error = f"{reason}; it had {job.vram_mib} MB and goes again with {more_mib} MB"
    verdict = _verdict(job, again=True, error=error)
    return replace(verdict, vram_mib=more_mib, out_of_vram_count=job.out_of_vram_count + 1)


def _after_failure(job: LiveJob, reason: str, rules: RetryRules, now: float) -> Verdict:
    if job.retry_count >= job.max_retries:
        return _verdict(job, again=False, error=reason)
    retry_count = job.retry_count + 1
    return _verdict(
        job,
        again=True,
        retry_count=retry_count,
        retry_after=now + delay_s(retry_count, rules, spread=job.request_hash),
        error=reason,
    )


def delay_s(retry: int, rules: RetryRules, *, spread: int) -> float:
    """Return the seconds before retry number *retry*, up to 5 % longer by *spread*.

    The spread comes from the job, not from chance, so that the same history gives the same decision.
    """
    return min(rules.base_s * 2.0**retry, rules.cap_s) * (1.0 + (spread % 1000) / 20_000.0)


def _verdict(
    job: LiveJob,
    *,
    again: bool,
    error: str | None,
    cancelled: bool = False,
    retry_after: float | None = None,
    retry_count: int | None = None,
    lost_count: int = 0,
    capacity_count: int | None = None,
) -> Verdict:
    return Verdict(
        again=again,
        paused=again and job.pause_requested_at is not None,
        cancelled=cancelled,
        retry_after=retry_after,
        retry_count=job.retry_count if retry_count is None else retry_count,
        lost_count=lost_count,
        capacity_count=job.capacity_count if capacity_count is None else capacity_count,
        out_of_vram_count=job.out_of_vram_count,
        error=error,
    )
