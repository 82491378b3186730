"""The order of the queue: which waiting job is next.

The order is by one number per job that never changes, so nothing is sorted again as jobs age: the
instant at which a job was accepted plus a step for each level of less urgency. A job thus overtakes
those that are one level more urgent and came a step later, and the least urgent reaches the front in
a bounded time.
"""

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedList

from callsheet_scheduler.domain.job import JobId, LiveJob

#: Seconds of waiting that weigh as much as one level of priority.
AGING_STEP_S: Final = 3600.0

Place = tuple[float, int, JobId]
"""Sort key, sequence, job."""


def place_of(job: LiveJob) -> Place:
    """Return where *job* stands in its lane; smaller is sooner.

    An interactive job stands half a level before the others of its priority.
    """
    level = job.priority - (0.5 if job.interactive else 0.0)
    return (job.created_at + level * AGING_STEP_S, job.sequence, job.id)


class Lane:
    """The waiting jobs of one category, by type, so that a type that nobody handles blocks no other."""

    __slots__ = ("_by_type",)

    def __init__(self) -> None:
        self._by_type: dict[str, SortedList[Place]] = {}

    def __len__(self) -> int:
        return sum(len(places) for places in self._by_type.values())

    def add(self, job: LiveJob) -> None:
        """Let *job* wait here."""
        places = self._by_type.get(job.type)
        if places is None:
            places = self._by_type[job.type] = SortedList()
        places.add(place_of(job))

    def discard(self, job: LiveJob) -> None:
        """Take *job* out, if it is here."""
        places = self._by_type.get(job.type)
        if places is not None:
            places.discard(place_of(job))
            if not places:
                del self._by_type[job.type]

    def heads(self) -> Iterator[tuple[Place, str]]:
        """Yield the first place of every type that has one, soonest first."""
        return iter(sorted((places[0], name) for name, places in self._by_type.items()))

    def pop(self, job_type: str) -> JobId:
        """Take out the first job of *job_type* and return it."""
        places = self._by_type[job_type]
        place = places.pop(0)
        if not places:
            del self._by_type[job_type]
        return place[2]

    def position(self, job: LiveJob) -> int:
        """Return how many jobs of the lane go before *job*, plus one."""
        place = place_of(job)
        return 1 + sum(places.bisect_left(place) for places in self._by_type.values())
