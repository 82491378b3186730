"""What people can do to jobs: cancel, retry, pause, resume, and make them more or less urgent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from callsheet.errors import CallsheetError, ConflictError, InvalidError, NotFoundError, StateError
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import PRIORITY_MAX

#: Jobs of one bulk action.
BULK_MAX: Final = 1000


ReadDone = Callable[[JobId], Awaitable[tuple[LiveJob, JobState] | None]]
"""Reads a job of history as a pending record, and the state it is in."""


class Action(IntEnum):
    """What can be done to many jobs at once; the values are those on the wire."""

    CANCEL = 1
    RETRY = 2
    PAUSE = 3
    RESUME = 4
    PRIORITIZE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What became of a bulk action."""

    done: list[JobId] = field(default_factory=list[JobId])
    refused: list[tuple[JobId, str]] = field(default_factory=list[tuple[JobId, str]])
    """With the reason."""


class Actions:
    """Every method returns after the commit.

    They raise `NotFoundError` where there is no such job and `StateError` where the job's state does not
    allow what is asked.
    """

    def __init__(self, leadership: Leadership, types: JobTypes, read_done: ReadDone) -> None:
        self._leadership = leadership
        self._types = types
        self._read_done = read_done

    async def cancel(self, job_id: JobId, *, by: str) -> None:
        """End a job: at once where it waits, else when its worker confirms."""
        term = self._leadership.current()
        job = await self._live(term, job_id, "cancelled")
        term.engine.cancel(job, by=by, now=term.commits.now())
        await _carry_out(term, job_id)

    async def pause(self, job_id: JobId) -> None:
        """Hold a job back: at once where it waits, else when its worker has kept a checkpoint."""
        term = self._leadership.current()
        job = await self._live(term, job_id, "paused")
        if job.state in LEASED and not self._types.get(job.type, field="type").resumable:
            message = (
                f"the job is {job.state.name.lower()}, and {job.type} keeps no checkpoint; "
                "only a waiting job of this type can be paused"
            )
            raise StateError(message)
        term.engine.pause(job, term.commits.now())
        await _carry_out(term, job_id)

    async def resume(self, job_id: JobId) -> None:
        """Let a paused job wait for its turn again, or call its pause off."""
        term = self._leadership.current()
        job = await self._live(term, job_id, "resumed")
        if job.state is not JobState.PAUSED and job.pause_requested_at is None:
            message = f"the job is {job.state.name.lower()}; only a paused job can be resumed"
            raise StateError(message)
        term.engine.resume(job)
        await _carry_out(term, job_id)

    async def prioritize(self, job_id: JobId, priority: int) -> None:
        """Make a job that is not final more or less urgent."""
        _check_priority(priority)
        term = self._leadership.current()
        job = await self._live(term, job_id, "given another priority")
        term.engine.prioritize(job, priority)
        await _carry_out(term, job_id)

    async def retry(self, job_id: JobId) -> None:
        """Put a failed or cancelled job back into the queue, to run at once."""
        term = self._leadership.current()
        await term.commits.settled(job_id)
        job = term.engine.queue.jobs.get(job_id)
        if job is not None:
            message = f"the job is {job.state.name.lower()}; only a failed or cancelled job can be retried"
            raise StateError(message)
        record, was = await self._done(job_id)
        if was is JobState.COMPLETED:
            message = "the job is completed; only a failed or cancelled job can be retried"
            raise StateError(message)
        if job_id in term.engine.queue.jobs:
            message = "the job is being retried already"
            raise StateError(message)
        term.days.check_back(job_id)
        record.retry_count += 1
        record.sequence = term.engine.next_sequence()
        term.engine.revive(record, was, term.commits.now())
        await _carry_out(term, job_id)

    async def act(self, action: Action, ids: Sequence[JobId], *, by: str, priority: int) -> Acted:
        """Do one thing to many jobs, each by itself.

        Raises:
            InvalidError: There are too many, or the priority is none.
            UnavailableError: The leadership ended meanwhile; it may have been done to some.
        """
        if len(ids) > BULK_MAX:
            message = f"{len(ids)} jobs in one call; at most {BULK_MAX} are allowed"
            raise InvalidError(message, field="ids")
        if action is Action.PRIORITIZE:
            _check_priority(priority)
        one: dict[Action, Callable[[JobId], Awaitable[None]]] = {
            Action.CANCEL: lambda job_id: self.cancel(job_id, by=by),
            Action.RETRY: self.retry,
            Action.PAUSE: self.pause,
            Action.RESUME: self.resume,
            Action.PRIORITIZE: lambda job_id: self.prioritize(job_id, priority),
        }
        wanted = list(dict.fromkeys(ids))
        reasons = await asyncio.gather(*(_reason(one[action](job_id)) for job_id in wanted))
        acted = Acted()
        for job_id, reason in zip(wanted, reasons, strict=True):
            if reason is None:
                acted.done.append(job_id)
            else:
                acted.refused.append((job_id, reason))
        return acted

    async def _live(self, term: Term, job_id: JobId, what: str) -> LiveJob:
        """Return the live job, about which no statement is under way."""
        await term.commits.settled(job_id)
        job = term.engine.queue.jobs.get(job_id)
        if job is None:
            _, state = await self._done(job_id)
            message = f"the job is {state.name.lower()} already; only a job that is not final can be {what}"
            raise StateError(message)
        return job

    async def _done(self, job_id: JobId) -> tuple[LiveJob, JobState]:
        found = await self._read_done(job_id)
        if found is None:
            message = f"there is no job {job_id}"
            raise NotFoundError(message)
        return found


async def _carry_out(term: Term, job_id: JobId) -> None:
    term.commits.flush()
    await term.commits.settled(job_id)


async def _reason(done: Awaitable[None]) -> str | None:
    """Return why it is not possible, None where it was done."""
    try:
        await done
    except (StateError, NotFoundError, ConflictError) as error:
        return _message(error)
    return None


def _message(error: CallsheetError) -> str:
    return error.message


def _check_priority(priority: int) -> None:
    if not 1 <= priority <= PRIORITY_MAX:
        message = f"must be from 1 (most urgent) to {PRIORITY_MAX}, not {priority}"
        raise InvalidError(message, field="priority")
