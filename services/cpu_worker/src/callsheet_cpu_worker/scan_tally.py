"""Counts what a scan finds, and names in the job's log what somebody may have to mend."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.context import Reporter
from callsheet.worker.storage.library import PassedOver
from callsheet_cpu_worker.picture_jobs import PictureJobs
from callsheet_cpu_worker.scan_plan import ScanPlan, is_changed

LOGGED_FAULTS: Final = 500
"""Broken files, and files passed over, that the log names; the library names all that are broken."""
LISTED_FAULTS: Final = 50
"""Files passed over that the result names."""
_SHOWN_CHARS: Final = 200


@dataclass(slots=True)
class Tally:
    """What became of the files."""

    report: Reporter
    found: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    """As they were."""
    broken: int = 0
    gone: list[str] = field(default_factory=list[str])
    """Items whose files are no longer there, or no longer media."""
    passed: list[PassedOver] = field(default_factory=list[PassedOver])
    """Cannot be opened, or cannot be named."""

    def begin(self, where: str, planned: ScanPlan, passed: Sequence[PassedOver]) -> None:
        """Say what is going to be looked at, and what cannot be."""
        self.same = len(planned.unchanged)
        self.found = len(planned.to_probe) + self.same
        self.broken = sum(item.facts.state == ItemState.ITEM_STATE_BROKEN for item in planned.unchanged)
        self._say(f"Scanning {where}: {self.found:,} files, {self.same:,} of them unchanged.")
        for one in passed:
            self.pass_over(one.path, one.reason)

    def pass_over(self, path: str, reason: str) -> None:
        """Note a file that no row is written of."""
        self.passed.append(PassedOver(path=path, reason=reason))
        if len(self.passed) <= LOGGED_FAULTS:
            self._say(f"{path}: passed over, {reason}")

    def count(self, row: ItemFacts, known: Item | None) -> None:
        """Count a file that was looked at."""
        if known is None:
            self.new += 1
        elif is_changed(row, known):
            self.changed += 1
        else:
            self.same += 1
        if row.state == ItemState.ITEM_STATE_BROKEN:
            self.broken += 1
            if self.broken <= LOGGED_FAULTS:
                self._say(f"{row.path}: broken, {row.reason}")

    def refuse(self, row: ItemFacts, known: Item | None, reason: str) -> None:
        """Take back what was counted of a row that the library does not take."""
        if known is None:
            self.new -= 1
        elif is_changed(row, known):
            self.changed -= 1
        else:
            self.same -= 1
        self.broken -= row.state == ItemState.ITEM_STATE_BROKEN
        self.pass_over(row.path, reason)

    def end(self, pictures: PictureJobs) -> dict[str, JsonValue]:
        """Say what was found, and return it."""
        earlier = pictures.left_to_others
        others = f" {earlier:,} items wait for earlier ones." if earlier else ""
        self._say(
            f"{self.found:,} files: {self.new:,} new, {self.changed:,} changed, {self.same:,} unchanged, "
            f"{self.broken:,} broken, {len(self.gone):,} missing, {len(self.passed):,} passed over; "
            f"{pictures.jobs:,} jobs make pictures.{others}"
        )
        result: dict[str, JsonValue] = {
            "found": self.found,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.same,
            "broken": self.broken,
            "missing": len(self.gone),
            "passedOver": len(self.passed),
        }
        if self.passed:
            result["passedOverFirst"] = [
                {"path": _shown(one.path), "reason": _shown(one.reason)}
                for one in self.passed[:LISTED_FAULTS]
            ]
        return result

    def _say(self, text: str) -> None:
        self.report.log(plain_line(text))


def _shown(text: str) -> str:
    """Return *text* as it may be shown, not too long; of a long one the beginning."""
    clean = plain_line(text)
    return clean if len(clean) <= _SHOWN_CHARS else f"{clean[:_SHOWN_CHARS]}…"
