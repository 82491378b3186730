"""The order of the jobs that need a share of a GPU, by how much they need.

A job that fits nowhere now stands in nobody's way: what is looked at are the sizes for which there is room,
so looking costs nothing where there is none, however many wait.
"""

from collections.abc import Iterable

from sortedcontainers import SortedDict, SortedList

from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.lanes import Kind, Place, kind_of, place_of

Sizes = SortedDict[int, SortedList[Place]]
"""The waiting jobs of one kind by VRAM in MiB."""


class SizedLane:
    """The waiting jobs of one GPU category, by kind and need."""

    __slots__ = ("_by_kind",)

    def __init__(self) -> None:
        self._by_kind: dict[Kind, Sizes] = {}

    def __len__(self) -> int:
        return sum(len(places) for places in self._all())

    def __contains__(self, job: LiveJob) -> bool:
        places = self._sizes(job).get(job.vram_mib)
        return places is not None and place_of(job) in places

    def add(self, job: LiveJob) -> None:
        """Let *job*, which does not wait yet, wait here."""
        sizes = self._by_kind.setdefault(kind_of(job), SortedDict())
        places = sizes.get(job.vram_mib)
        if places is None:
            places = sizes[job.vram_mib] = SortedList()
        places.add(place_of(job))

    def discard(self, job: LiveJob) -> None:
        """Take *job* out, if it is here."""
        places = self._sizes(job).get(job.vram_mib)
        if places is not None:
            places.discard(place_of(job))
            self._drop_empty(kind_of(job), job.vram_mib)

    def counted(self) -> Iterable[tuple[Kind, int, int]]:
        """Return each kind and need in MiB, and how many jobs of it wait."""
        return [
            (kind, size, len(places))
            for kind, sizes in self._by_kind.items()
            for size, places in sizes.items()
        ]

    def kinds(self) -> Iterable[Kind]:
        """Return the kinds that have a job here."""
        return self._by_kind

    def first(self, kind: Kind, room_mib: int) -> Place | None:
        """Return the first place of *kind* among the jobs that *room_mib* is enough for."""
        sizes = self._by_kind[kind]
        return min((sizes[size][0] for size in sizes.irange(maximum=room_mib)), default=None)

    def position(self, job: LiveJob) -> int:
        """Return how many jobs of the lane go before *job*, plus one."""
        place = place_of(job)
        return 1 + sum(places.bisect_left(place) for places in self._all())

    def _all(self) -> Iterable[SortedList[Place]]:
        return (places for sizes in self._by_kind.values() for places in sizes.values())

    def _sizes(self, job: LiveJob) -> Sizes:
        return self._by_kind.get(kind_of(job)) or SortedDict()

    def _drop_empty(self, kind: Kind, size: int) -> None:
        sizes = self._by_kind[kind]
        if not sizes[size]:
            del sizes[size]
            if not sizes:
                del self._by_kind[kind]
