"""Tells an autoscaler how much work there is: while that is not known, never that there is none."""

from collections.abc import Mapping
from typing import Final

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet_scheduler.domain.demand import Addable, Demand, demand_of
from callsheet_scheduler.leadership import Leadership

SLOTS_MAX: Final = 10_000
VRAM_MIB_MAX: Final = 1 << 24

#: The field of a request that the trigger's metadata come in.
METADATA: Final = "scalerMetadata"

_CATEGORIES: Final = {category.name.lower(): category for category in Category}
_BOOLEANS: Final = {"true": True, "false": False}


class Scaling:
    """Reads the leader's memory."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def demand(self, workers: Addable) -> Demand:
        """Return how much work there is for *workers*.

        Raises:
            UnavailableError: This process does not lead, so it does not know.
        """
        return demand_of(self._leadership.current().engine, workers)


def addable(metadata: Mapping[str, str]) -> Addable:
    """Return the workers that a trigger's metadata describe.

    Raises:
        InvalidError: They do not; names the entry.
    """
    category = _CATEGORIES.get(metadata.get("category", ""))
    if category is None:
        raise _wrong("category", f"must be one of {', '.join(_CATEGORIES)}")
    running = _BOOLEANS.get(metadata.get("includeRunning", "true").lower())
    if running is None:
        raise _wrong("includeRunning", "must be true or false")
    vram = "vramPerWorkerMb"
    return Addable(
        category=category,
        slots=_number(metadata, "slotsPerWorker", SLOTS_MAX),
        vram_mib=_number(metadata, vram, VRAM_MIB_MAX) if vram in metadata else None,
        include_running=running,
    )


def _number(metadata: Mapping[str, str], key: str, most: int) -> int:
    text = metadata.get(key, "")
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else 0
    if not 1 <= value <= most:
        raise _wrong(key, f"must be a number from 1 to {most}, written in quotes")
    return value


def _wrong(key: str, message: str) -> InvalidError:
    return InvalidError(f"{key} {message}", field=f"{METADATA}.{key}")
