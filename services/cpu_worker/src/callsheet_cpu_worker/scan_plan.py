"""Decides what a scan has to look at: the files that were found against the items that are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.media.recipes import THUMBNAIL_RECIPE
from callsheet.paths import path_fault
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.storage.library import FoundFile, PassedOver
from callsheet_cpu_worker.pictures import has_current

ROW_LIMIT: Final = 1_000
"""Rows of one write."""
ROW_BYTES: Final = 768 * 1024
"""Bytes of the rows of one write, which has to fit one message."""
UNREAD: Final = "no worker has read it to its end yet"
"""Why a file cannot be used that a scan is about to read after workers were lost, and had no row of."""
FRAME_BYTES: Final = 6
"""Bytes that a row's tag and length take in a message, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What to do about each file and item."""

    to_probe: Sequence[FoundFile]
    unchanged: Sequence[Item]
    vanished: Sequence[Item]


def plan(
    found: Sequence[FoundFile],
    known: Iterable[Item],
    unseen: Sequence[str],
    *,
    skip_existing: bool,
    skip_broken: bool = False,
) -> ScanPlan:
    """Compare by path, size and modification time.

    Args:
        found: The files that are there.
        known: The items of the same folder.
        unseen: Folders that could not be entered: nothing is said of what lies below them.
        skip_existing: Whether an unchanged file is left alone.
        skip_broken: Whether that holds at least for broken ones.
    """
    by_path = {item.facts.path: item for item in known}
    to_probe: list[FoundFile] = []
    unchanged: list[Item] = []
    for file in found:
        item = by_path.pop(file.path, None)
        skips = skip_existing or (skip_broken and item is not None and _is_broken(item))
        if item is not None and skips and is_same(file.size_bytes, file.mtime_ns, item):
            unchanged.append(item)
        else:
            to_probe.append(file)
    hidden = frozenset(unseen)
    vanished = [
        item
        for path, item in by_path.items()
        if item.facts.state != ItemState.ITEM_STATE_MISSING and not _below_any(path, hidden)
    ]
    return ScanPlan(to_probe=to_probe, unchanged=unchanged, vanished=vanished)


def one_write(rows: Sequence[ItemFacts]) -> int:
    """Return how many of the first rows go into one write: as many as fit, and at least one."""
    size = 0
    for count, row in enumerate(rows[:ROW_LIMIT]):
        size += row.ByteSize() + FRAME_BYTES
        if size > ROW_BYTES:
            return max(1, count)
    return min(len(rows), ROW_LIMIT)


def lacks_thumbnail(item: Item) -> bool:
    """Say whether an item that can be used has no usual thumbnail of its present content."""
    return item.facts.state == ItemState.ITEM_STATE_OK and not has_current(
        item, "thumbnail", THUMBNAIL_RECIPE
    )


def needs_pictures(row: ItemFacts, known: Item | None) -> bool:
    """Say whether a row that was written needs pictures, where *known* is the item as it was before."""
    if row.state != ItemState.ITEM_STATE_OK:
        return False
    return known is None or is_changed(row, known) or lacks_thumbnail(known)


def is_changed(row: ItemFacts, known: Item) -> bool:
    """Say whether a file has another content than the item has, or its state is another one."""
    return known.facts.identity != row.identity or known.facts.state != row.state


def sorted_out(found: Iterable[FoundFile]) -> tuple[list[FoundFile], list[PassedOver]]:
    """Part the files that the library can name from those that it cannot."""
    good: list[FoundFile] = []
    bad: list[PassedOver] = []
    for file in found:
        if fault := path_fault(file.path):
            bad.append(PassedOver(path=file.path, reason=f"its path {fault}; rename it"))
        else:
            good.append(file)
    return good, bad


def is_same(size_bytes: int, mtime_ns: int, item: Item) -> bool:
    """Say whether an item was read to its end when its file was as large and as old as this one is."""
    facts = item.facts
    return (
        facts.state != ItemState.ITEM_STATE_MISSING
        and not (_is_broken(item) and facts.reason == UNREAD)
        and (facts.size_bytes, facts.mtime_ns) == (size_bytes, mtime_ns)
    )


def _is_broken(item: Item) -> bool:
    return item.facts.state == ItemState.ITEM_STATE_BROKEN


def _below_any(path: str, folders: frozenset[str]) -> bool:
    """Say whether *path* is one of the folders or lies below one."""
    parts = path.split("/")
    return "" in folders or any("/".join(parts[:count]) in folders for count in range(1, len(parts) + 1))
