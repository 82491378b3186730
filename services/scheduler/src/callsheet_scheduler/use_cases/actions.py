"""What people can do to jobs: cancel, retry, pause, resume, and make them more or less urgent."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from callsheet.errors import CallsheetError, ConflictError, InvalidError, NotFoundError, StateError
from callsheet_scheduler.domain.effects import ReviveJob
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.records import ReadDone
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import PRIORITY_MAX

#: Jobs of one bulk action.
BULK_MAX: Final = 1000

#: Jobs of history that are read together.
READ_TOGETHER: Final = 100


class Action(IntEnum):
    """What can be done to many jobs at once; the values are those on the wire."""

    CANCEL = 1
    RETRY = 2
    PAUSE = 3
    RESUME = 4
    PRIORITIZE = 5


PAST: Final[Mapping[Action, str]] = {
    Action.CANCEL: "cancelled",
    Action.PAUSE: "paused",
    Action.RESUME: "resumed",
    Action.PRIORITIZE: "given another priority",
}
"""What a job is after an action that only a job that is not final allows."""


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
        job = await self._live(term, job_id, Action.CANCEL)
        term.engine.cancel(job, by=by, now=term.commits.now())
        await _carry_out(term, job_id)

    async def pause(self, job_id: JobId) -> None:
        """Hold a job back: at once where it waits, else when its worker has kept a checkpoint."""
        term = self._leadership.current()
        job = await self._live(term, job_id, Action.PAUSE)
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
        job = await self._live(term, job_id, Action.RESUME)
        if job.state is not JobState.PAUSED and job.pause_requested_at is None:
            message = f"the job is {job.state.name.lower()}; only a paused job can be resumed"
            raise StateError(message)
        term.engine.resume(job)
        await _carry_out(term, job_id)

    async def prioritize(self, job_id: JobId, priority: int) -> None:
        """Make a job that is not final more or less urgent."""
        _check_priority(priority)
        term = self._leadership.current()
        job = await self._live(term, job_id, Action.PRIORITIZE)
        term.engine.prioritize(job, priority)
        await _carry_out(term, job_id)

    async def retry(self, job_id: JobId) -> None:
        """Put a failed or cancelled job back into the queue, to run at once."""
        for error in (await self._retry([job_id])).values():
            raise error

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
        wanted = list(dict.fromkeys(ids))
        if action is Action.RETRY:
            refused = await self._retry(wanted)
        else:
            refused = await self._refused(wanted, action)
            one: dict[Action, Callable[[JobId], Awaitable[None]]] = {
                Action.CANCEL: lambda job_id: self.cancel(job_id, by=by),
                Action.PAUSE: self.pause,
                Action.RESUME: self.resume,
                Action.PRIORITIZE: lambda job_id: self.prioritize(job_id, priority),
            }
            live = [job_id for job_id in wanted if job_id not in refused]
            errors = await asyncio.gather(*(_error(one[action](job_id)) for job_id in live))
            refused |= {job_id: error for job_id, error in zip(live, errors, strict=True) if error}
        return Acted(
            done=[job_id for job_id in wanted if job_id not in refused],
            refused=[(job_id, refused[job_id].message) for job_id in wanted if job_id in refused],
        )

    async def _retry(self, ids: Sequence[JobId]) -> dict[JobId, CallsheetError]:
        """Put jobs back into the queue; return those for which it is not possible, with the reason."""
        term = self._leadership.current()
        refused: dict[JobId, CallsheetError] = {}
        revivals: list[ReviveJob] = []
        for some in _chunks(ids):
            for job_id in some:
                await term.commits.settled(job_id)
            live = [job_id for job_id in some if job_id in term.engine.queue.jobs]
            refused |= {job_id: _not_to_be_retried(term.engine.queue.jobs[job_id].state) for job_id in live}
            gone = [job_id for job_id in some if job_id not in refused]
            found = await self._read_done(gone)
            for job_id in gone:
                revival = _revive(term, job_id, found.get(job_id))
                if isinstance(revival, ReviveJob):
                    revivals.append(revival)
                else:
                    refused[job_id] = revival
            term.commits.flush()
        for job_id in ids:
            await term.commits.settled(job_id)
        return refused | {one.job.id: _changed() for one in revivals if one.refused}

    async def _refused(self, ids: Sequence[JobId], action: Action) -> dict[JobId, CallsheetError]:
        """Return those of *ids* that are final or unknown, with the reason."""
        term = self._leadership.current()
        refused: dict[JobId, CallsheetError] = {}
        for some in _chunks(ids):
            for job_id in some:
                await term.commits.settled(job_id)
            gone = [job_id for job_id in some if job_id not in term.engine.queue.jobs]
            found = await self._read_done(gone)
            refused |= {job_id: _over(job_id, found.get(job_id), PAST[action]) for job_id in gone}
        return refused

    async def _live(self, term: Term, job_id: JobId, action: Action) -> LiveJob:
        """Return the live job, about which no statement is under way."""
        await term.commits.settled(job_id)
        job = term.engine.queue.jobs.get(job_id)
        if job is None:
            raise _over(job_id, (await self._read_done([job_id])).get(job_id), PAST[action])
        return job


def _revive(term: Term, job_id: JobId, found: tuple[LiveJob, JobState] | None) -> ReviveJob | CallsheetError:
    """Put a job of history back into the queue, or return why that is not possible.

    *found* was read just before: nothing may be awaited in between.
    """
    live = term.engine.queue.jobs.get(job_id)
    if live is not None:
        return _not_to_be_retried(live.state)
    if found is None:
        return _unknown(job_id)
    record, was = found
    if was is JobState.COMPLETED:
        return _not_to_be_retried(was)
    try:
        term.days.check_back(job_id)
    except NotFoundError as error:
        return error
    if record.ties is not None and (holder := term.engine.queue.knots.holder(record.ties.unique_key)):
        return ConflictError(f"the job {holder} has the unique key {record.ties.unique_key!r} now")
    record.retry_count += 1
    record.sequence = term.engine.next_sequence()
    return term.engine.revive(record, was, term.commits.now())


def _changed() -> ConflictError:
    return ConflictError("the job was retried and has ended again meanwhile; look at it before you retry it")


def _not_to_be_retried(state: JobState) -> StateError:
    return StateError(f"the job is {state.name.lower()}; only a failed or cancelled job can be retried")


def _over(job_id: JobId, found: tuple[LiveJob, JobState] | None, what: str) -> CallsheetError:
    """Return why a job that is not live cannot be steered."""
    if found is None:
        return _unknown(job_id)
    state = found[1].name.lower()
    return StateError(f"the job is {state} already; only a job that is not final can be {what}")


def _unknown(job_id: JobId) -> NotFoundError:
    return NotFoundError(f"there is no job {job_id}")


def _chunks(ids: Sequence[JobId]) -> Iterator[Sequence[JobId]]:
    return (ids[start : start + READ_TOGETHER] for start in range(0, len(ids), READ_TOGETHER))


async def _carry_out(term: Term, job_id: JobId) -> None:
    term.commits.flush()
    await term.commits.settled(job_id)


async def _error(done: Awaitable[None]) -> CallsheetError | None:
    """Return why it is not possible, None where it was done."""
    try:
        await done
    except (StateError, NotFoundError, ConflictError) as error:
        return error
    return None


def _check_priority(priority: int) -> None:
    if not 1 <= priority <= PRIORITY_MAX:
        message = f"must be from 1 (most urgent) to {PRIORITY_MAX}, not {priority}"
        raise InvalidError(message, field="priority")
