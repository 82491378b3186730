"""Law: no job that could start is passed over for a less urgent one of the same type."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from callsheet.verify.events import JobRow
from callsheet.verify.history import History, Story
from callsheet.verify.laws.facts import CLOCK_SLACK_S
from callsheet.verify.laws.finding import Finding, law

#: Seconds of waiting that weigh as much as one level of priority.
AGING_STEP_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The one grant of a job."""

    row: JobRow
    known_at: float
    granted_at: float

    @property
    def place(self) -> float:
        """Where it stood in the order; smaller is sooner."""
        level = self.row.priority - (0.5 if self.row.interactive else 0.0)
        return self.row.created_at + level * AGING_STEP_S


class Ranges:
    """Finds the highest of any stretch of values, by tables of stretches whose lengths are powers of two."""

    def __init__(self, values: list[float]) -> None:
        self._values = values
        self._tables = [list(range(len(values)))]
        width = 1
        while 2 * width <= len(values):
            below = self._tables[-1]
            reach = range(len(values) - 2 * width + 1)
            self._tables.append([self._higher(below[at], below[at + width]) for at in reach])
            width *= 2

    def highest(self, first: int, beyond: int) -> int | None:
        """Return the place of the highest value in ``first:beyond``; None where that is empty."""
        if first >= beyond:
            return None
        power = (beyond - first).bit_length() - 1
        table = self._tables[power]
        return self._higher(table[first], table[beyond - (1 << power)])

    def _higher(self, one: int, other: int) -> int:
        return one if self._values[one] >= self._values[other] else other


@law("urgency")
def urgency(history: History) -> Iterator[Finding]:
    """No job that could start is passed over for a less urgent one of the same type.

    Judged for CPU jobs in their first attempt that nobody steered, between those that had been acknowledged
    before the other was granted, with the slack of the leaders' clocks; urgency includes the time that a
    job has waited.
    """
    by_type: defaultdict[str, list[_Start]] = defaultdict(list)
    for story in history.jobs.values():
        start = _start_of(story)
        if start is not None:
            by_type[start.row.type].append(start)
    for starts in by_type.values():
        starts.sort(key=lambda start: start.granted_at)
        instants = [start.granted_at for start in starts]
        least = Ranges([start.place for start in starts])
        for late in starts:
            first = bisect_right(instants, late.known_at + CLOCK_SLACK_S)
            beyond = bisect_left(instants, late.granted_at - CLOCK_SLACK_S)
            worst = least.highest(first, beyond)
            if worst is not None and late.place + CLOCK_SLACK_S < starts[worst].place:
                early = starts[worst].row
                yield Finding(
                    job=late.row.id, sentence=f"was passed over for {early.id}", events=(late.row, early)
                )


def _start_of(story: Story) -> _Start | None:
    row = story.row
    known_at = [call.answer.utc for call in story.asked_for("submit", "ok") if call.answer]
    steered = any(call.invoke.op not in {"submit", "read"} for call in story.calls)
    if row is None or row.granted_at is None or not known_at or steered:
        return None
    if row.attempt != 1 or row.run_at is not None or row.category != "cpu":
        return None
    return _Start(row=row, known_at=min(known_at), granted_at=row.granted_at)
