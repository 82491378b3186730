"""Every tie between live jobs: which one needs which, and who has a unique key."""

from collections.abc import Collection, Iterable, Mapping

from callsheet_scheduler.domain.job import JobId, LiveJob, Ties


class Knots:
    """Who waits for whom. An answer takes time by the ties of one job, not by how many there are."""

    def __init__(self) -> None:
        self._needed_by: dict[JobId, dict[JobId, Ties]] = {}
        self._holders: dict[str, JobId] = {}

    def tie(self, job_id: JobId, ties: Ties) -> None:
        """A job came. Of those it needs, the ones that are not final are in ``ties.open``."""
        for needed in ties.open:
            self._needed_by.setdefault(needed, {})[job_id] = ties
        if ties.unique_key:
            self._holders[ties.unique_key] = job_id

    def untie(self, job_id: JobId, ties: Ties) -> None:
        """A job went."""
        for needed in ties.open:
            waiting = self._needed_by.get(needed, {})
            waiting.pop(job_id, None)
            if not waiting:
                self._needed_by.pop(needed, None)
        if self._holders.get(ties.unique_key) == job_id:
            del self._holders[ties.unique_key]

    def holder(self, unique_key: str) -> JobId | None:
        """Return the live job that has a key."""
        return self._holders.get(unique_key)

    def ended(self, job_id: JobId, *, completed: bool) -> list[JobId]:
        """A job is final. Return the jobs that needed it; some may wait for others still."""
        waiting = self._needed_by.pop(job_id, {})
        for ties in waiting.values():
            ties.settle(job_id, completed=completed)
        return list(waiting)

    def waiting(self) -> list[JobId]:
        """Return the jobs that wait for others."""
        return sorted({job_id for waiting in self._needed_by.values() for job_id in waiting})

    def unknown(self, live: Collection[JobId]) -> list[JobId]:
        """Return the jobs that are needed and not live."""
        return sorted(job_id for job_id in self._needed_by if job_id not in live)


def circle(needs: Mapping[JobId, Iterable[JobId]]) -> JobId | None:
    """Return a job that needs itself by way of others, if there is one.

    *needs* names what each of some jobs needs; other jobs need none of them.
    """
    left = {job_id: {one for one in needed if one in needs} for job_id, needed in needs.items()}
    free = [job_id for job_id, needed in left.items() if not needed]
    needed_by: dict[JobId, list[JobId]] = {}
    for job_id, needed in left.items():
        for one in needed:
            needed_by.setdefault(one, []).append(job_id)
    while free:
        done = free.pop()
        del left[done]
        for job_id in needed_by.get(done, ()):
            left[job_id].discard(done)
            if not left[job_id]:
                free.append(job_id)
    return min(left, default=None)


def waits_for(job_id: JobId, jobs: Iterable[LiveJob], live: Mapping[JobId, LiveJob]) -> JobId | None:
    """Return that of *jobs* which waits for a job, itself or by way of others; None where none does."""
    for job in jobs:
        seen: set[JobId] = set()
        ahead = [job.id]
        while ahead:
            one = ahead.pop()
            if one == job_id:
                return job.id
            known = job if one == job.id and one not in live else live.get(one)
            if known is not None and known.ties is not None and one not in seen:
                seen.add(one)
                ahead += known.ties.open
    return None
