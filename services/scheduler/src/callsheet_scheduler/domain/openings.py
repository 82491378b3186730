"""The GPUs that can take a job now, in the order of their free memory.

Which GPUs these are is known without looking at every one: whatever changes a GPU's account, or what its
workers can take, marks the GPU as *touched*, and only those are looked at again.
"""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from sortedcontainers import SortedList

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import ENCODER_SESSIONS, DeviceId


class Opening(NamedTuple):
    """A GPU with room."""

    room_mib: int
    turn: int
    """The GPU with the least was chosen the longest ago."""
    device: DeviceId


class Openings:
    """By GPU category, the GPUs that can take a job of it."""

    def __init__(self) -> None:
        self.touched: set[DeviceId] = set()
        """GPUs to look at again."""
        self._open: Mapping[Category, SortedList[Opening]] = {one: SortedList() for one in ENCODER_SESSIONS}
        self._known: dict[DeviceId, dict[Category, Opening]] = {}
        self._turn = 0
        self._turns: dict[DeviceId, int] = {}
        self._ages: list[tuple[float, DeviceId]] = []
        self._ages_at: dict[DeviceId, float] = {}

    def chose(self, device: DeviceId) -> None:
        """A job was given to the GPU."""
        self._turn += 1
        self._turns[device] = self._turn
        self.touched.add(device)

    def take_touched(self, now: float) -> set[DeviceId]:
        """Return the GPUs to look at, those included whose reading has become too old."""
        while self._ages and self._ages[0][0] < now:
            self.touched.add(heappop(self._ages)[1])
        touched, self.touched = self.touched, set()
        return touched

    def note(self, device: DeviceId, rooms_mib: Mapping[Category, int], ages_at: float | None) -> None:
        """The GPU can take a job of these categories with so much memory, until its reading *ages_at*."""
        known = self._known.pop(device, {})
        turn = self._turns.get(device, 0)
        wanted = {category: Opening(room_mib, turn, device) for category, room_mib in rooms_mib.items()}
        for category, opening in known.items():
            if wanted.get(category) != opening:
                self._open[category].remove(opening)
        for category, opening in wanted.items():
            if known.get(category) != opening:
                self._open[category].add(opening)
        if wanted:
            self._known[device] = wanted
        if ages_at is not None and self._ages_at.get(device) != ages_at:
            self._ages_at[device] = ages_at
            heappush(self._ages, (ages_at, device))

    def forget(self, device: DeviceId) -> None:
        """There is no such GPU any more."""
        self.note(device, {}, None)
        self._turns.pop(device, None)
        self._ages_at.pop(device, None)

    def from_the_emptiest(self, category: Category) -> Iterator[Opening]:
        """Yield the GPUs that can take a job of *category*, the one with most room first."""
        return reversed(self._open[category])

    def from_the_tightest(self, category: Category, room_mib: int) -> Iterator[Opening]:
        """Yield the GPUs with at least so much room, the one with least first."""
        return self._open[category].irange(minimum=Opening(room_mib, -1, DeviceId("")))
