"""The newest events, which every listener reads at a place of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from callsheet_gateway.live import sse

EVENTS_MAX: Final = 10_000
BYTES_MAX: Final = 64 * 1024 * 1024
PIECES_MAX: Final = 64
"""Pieces that are kept for the listeners that come for them before the next event."""

_ID: Final = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What listeners choose events by."""

    job_type: str
    collection: str
    statuses: frozenset[str]
    """The status of the job, and the one that was told of it last."""
    submitted_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events of jobs a listener wants; what is empty passes."""

    types: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    collection: str = ""
    submitted_by: str = ""

    def passes(self, about: About | None) -> bool:
        """Return whether an event is wanted; what is about no job always is."""
        if about is None:
            return True
        return (
            (not self.types or about.job_type in self.types)
            and (not self.statuses or bool(about.statuses & self.statuses))
            and (not self.collection or about.collection == self.collection)
            and (not self.submitted_by or about.submitted_by == self.submitted_by)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event."""

    text: bytes
    about: About | None


class Ring:
    """Numbered events, from 1 on; the oldest go when there are too many or they are too large together.

    Args:
        mark: 16 hexadecimal digits that no other ring has: a number says nothing without it.
        events_max: How many are kept.
        bytes_max: How large all of them may be together.
    """

    def __init__(self, mark: str, *, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._mark = mark
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: dict[int, Told] = {}
        self._pieces: dict[tuple[int, Wanted, int], tuple[bytes, int]] = {}
        self.last = 0
        """The number of the newest event; 0 before the first."""

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept."""
        return self.last - len(self._kept) + 1

    def add(self, name: str, data: str, about: About | None = None) -> None:
        """Append an event."""
        self.last += 1
        told = Told(text=sse.event(data, name=name, event_id=self.id_of(self.last)), about=about)
        self._kept[self.last] = told
        self._pieces.clear()
        self._bytes += len(told.text)
        while len(self._kept) > self._events_max or self._bytes > self._bytes_max:
            self._bytes -= len(self._kept.pop(self.first).text)

    def id_of(self, number: int) -> str:
        """Return what an event is called outside."""
        return f"{self._mark}-{number}"

    def place_of(self, event_id: str) -> int | None:
        """Return the number that an id stands for; None where events after it are missing here."""
        found = _ID.fullmatch(event_id)
        if found is None or found[1] != self._mark:
            return None
        number = int(found[2])
        return number if self.has_all_after(number) and number <= self.last else None

    def has_all_after(self, number: int) -> bool:
        """Return whether every event after *number* is kept."""
        return number >= self.first - 1

    def after(self, number: int, bytes_max: int) -> Sequence[Told]:
        """Return the next events after *number*, of which all are kept: as many as fit, one at least."""
        found: list[Told] = []
        left = bytes_max
        for following in range(number + 1, self.last + 1):
            told = self._kept[following]
            left -= len(told.text)
            if left < 0 and found:
                break
            found.append(told)
        return found

    def piece(self, number: int, wanted: Wanted, bytes_max: int) -> tuple[bytes, int]:
        """Return what is wanted of the next events after *number*, and the number of the last of them.

        Listeners at one place that want the same are given one and the same piece.
        """
        asked = (number, wanted, bytes_max)
        if (made := self._pieces.get(asked)) is not None:
            return made
        events = self.after(number, bytes_max)
        text = b"".join(told.text for told in events if wanted.passes(told.about))
        made = (text, number + len(events))
        if len(self._pieces) < PIECES_MAX:
            self._pieces[asked] = made
        return made
