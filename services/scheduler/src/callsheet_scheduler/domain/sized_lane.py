"""The order of the jobs that need a share of a GPU, by how much they need.

Jobs of one kind that need as much and are expected to run as long stand in one row: of each row only the
first has to be looked at, and only in rows for which there is room, however many wait.
"""

from collections.abc import Iterable, Iterator, Sequence

from sortedcontainers import SortedDict, SortedList

from callsheet_scheduler.domain.job import JobId, LiveJob
from callsheet_scheduler.domain.lanes import Kind, Place, kind_of, place_of

Need = tuple[int, int]
"""VRAM in MiB, and the class of the input's size; -1 where that is unknown."""

Rows = SortedDict[Need, SortedList[Place]]
"""The waiting jobs of one kind."""


def _need_of(job: LiveJob) -> Need:
    return (job.vram_mib, -1 if job.size_class is None else job.size_class)


class SizedLane:
    """The waiting jobs of one GPU category, by kind and need."""

    __slots__ = ("_by_kind", "left")

    def __init__(self) -> None:
        self._by_kind: dict[Kind, Rows] = {}
        self.left: set[JobId] = set()
        """Those that were taken out since somebody looked."""

    def __len__(self) -> int:
        return sum(len(places) for places in self._all())

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def __contains__(self, job: LiveJob) -> bool:
        places = self._rows(job).get(_need_of(job))
        return places is not None and place_of(job) in places

    def add(self, job: LiveJob) -> None:
        """Let *job*, which does not wait yet, wait here."""
        rows = self._by_kind.setdefault(kind_of(job), SortedDict())
        need = _need_of(job)
        places = rows.get(need)
        if places is None:
            places = rows[need] = SortedList()
        places.add(place_of(job))

    def discard(self, job: LiveJob) -> None:
        """Take *job* out, if it is here."""
        places = self._rows(job).get(_need_of(job))
        if places is not None:
            self.left.add(job.id)
            places.discard(place_of(job))
            self._drop_empty(kind_of(job), _need_of(job))

    def counted(self) -> Iterable[tuple[Kind, int, int]]:
        """Return each kind and need in MiB, and how many jobs of it wait; a need may come more than once."""
        return [
            (kind, vram_mib, len(places))
            for kind, rows in self._by_kind.items()
            for (vram_mib, _), places in rows.items()
        ]

    def kinds(self) -> Iterable[Kind]:
        """Return the kinds that have a job here."""
        return self._by_kind

    def rows_for(self, kind: Kind, room_mib: int) -> Iterator[Sequence[Place]]:
        """Yield the rows of *kind* whose jobs *room_mib* is enough for, the places in order."""
        rows = self._by_kind[kind]
        return (rows[need] for need in rows.irange(maximum=(room_mib + 1, -1), inclusive=(True, False)))

    def rows(self) -> Iterator[tuple[Kind, Sequence[Place]]]:
        """Yield each row with its kind, the places in order."""
        return ((kind, places) for kind, rows in self._by_kind.items() for places in rows.values())

    def position(self, job: LiveJob) -> int:
        """Return how many jobs of the lane go before *job*, plus one."""
        place = place_of(job)
        return 1 + sum(places.bisect_left(place) for places in self._all())

    def _all(self) -> Iterable[SortedList[Place]]:
        return (places for rows in self._by_kind.values() for places in rows.values())

    def _rows(self, job: LiveJob) -> Rows:
        return self._by_kind.get(kind_of(job)) or SortedDict()

    def _drop_empty(self, kind: Kind, need: Need) -> None:
        rows = self._by_kind[kind]
        if not rows[need]:
            del rows[need]
            if not rows:
                del self._by_kind[kind]
