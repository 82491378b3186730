"""The order of the queue: which waiting job is next.

The order is by one number per job that never changes, so nothing is sorted again as jobs age: the
instant at which a job was accepted plus a step for each level of less urgency. A job thus overtakes
those that are one level more urgent and came a step later, and the least urgent reaches the front in
a bounded time.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sortedcontainers import SortedList

from callsheet_scheduler.domain.job import JobId, LiveJob

#: Seconds of waiting that weigh as much as one level of priority.
AGING_STEP_S: Final = 3600.0

Place = tuple[float, int, JobId]
"""Sort key, sequence, job."""

Kind = tuple[str, str | None]
"""Job type and root: jobs that the same workers can run."""


def kind_of(job: LiveJob) -> Kind:
    """Return which workers *job* needs."""
    return (job.type, job.root)


def level_of(job: LiveJob) -> float:
    """Return how little urgent *job* is: its priority, or half a level less where somebody waits for it."""
    return job.priority - (0.5 if job.interactive else 0.0)


def place_of(job: LiveJob) -> Place:
    """Return where *job* stands in its lane; smaller is sooner."""
    return (job.created_at + level_of(job) * AGING_STEP_S, job.sequence, job.id)


class Lane:
    """The waiting jobs of one category, by kind, so that one that nobody can run blocks no other."""

    __slots__ = ("_by_kind",)

    def __init__(self) -> None:
        self._by_kind: dict[Kind, SortedList[Place]] = {}

    def __len__(self) -> int:
        return sum(len(places) for places in self._by_kind.values())

    def __contains__(self, job: LiveJob) -> bool:
        places = self._by_kind.get(kind_of(job))
        return places is not None and place_of(job) in places

    def add(self, job: LiveJob) -> None:
        """Let *job*, which does not wait yet, wait here."""
        kind = kind_of(job)
        places = self._by_kind.get(kind)
        if places is None:
            places = self._by_kind[kind] = SortedList()
        places.add(place_of(job))

    def discard(self, job: LiveJob) -> None:
        """Take *job* out, if it is here."""
        kind = kind_of(job)
        places = self._by_kind.get(kind)
        if places is not None:
            places.discard(place_of(job))
            if not places:
                del self._by_kind[kind]

    def counted(self) -> Iterable[tuple[Kind, int, int]]:
        """Return each kind, with the VRAM in MiB of a job, and how many jobs wait."""
        return [(kind, 0, len(places)) for kind, places in self._by_kind.items()]

    def rows(self) -> Iterable[tuple[Kind, Sequence[Place]]]:
        """Return each kind that has a job here, its places in order."""
        return self._by_kind.items()

    def heads(self) -> Sequence[tuple[Place, Kind]]:
        """Return the first place of every kind that has one, soonest first."""
        heads = [(places[0], kind) for kind, places in self._by_kind.items()]
        if len(heads) > 1:
            heads.sort(key=_place)
        return heads

    def take(self, kind: Kind, count: int) -> list[JobId]:
        """Take out the first *count* jobs of *kind*, or all that there are, and return them in order."""
        places = self._by_kind[kind]
        taken = [places.pop(0)[2] for _ in range(min(count, len(places)))]
        if not places:
            del self._by_kind[kind]
        return taken

    def position(self, job: LiveJob) -> int:
        """Return how many jobs of the lane go before *job*, plus one."""
        place = place_of(job)
        return 1 + sum(places.bisect_left(place) for places in self._by_kind.values())


def _place(head: tuple[Place, Kind]) -> Place:
    return head[0]
