"""Decides what a scan has to look at: the files that were found against the items that are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.media.recipes import THUMBNAIL_RECIPE
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.library import FoundFile
from callsheet_cpu_worker.pictures import has_current

BATCH: Final = 25
"""Items of one follow-up job, as long as that makes few enough jobs."""
BATCH_LIMIT: Final = 200
"""Items of one follow-up job at most."""
JOB_LIMIT: Final = 1_000
"""Follow-up jobs of one scan."""
ID_LIMIT: Final = 16_000
"""Items of all follow-ups of one scan: their ids have to fit the one message that ends it."""

ROW_LIMIT: Final = 1_000
"""Rows of one write."""
ROW_BYTES: Final = 768 * 1024
"""Bytes of the rows of one write, which has to fit one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What to do about each file and item."""

    to_probe: Sequence[FoundFile]
    unchanged: Sequence[Item]
    vanished: Sequence[Item]


def plan(
    found: Sequence[FoundFile], known: Iterable[Item], unseen: Sequence[str], *, skip_existing: bool
) -> ScanPlan:
    """Compare by path, size and modification time.

    Args:
        found: The files that are there.
        known: The items of the same folder.
        unseen: Folders that could not be entered: nothing is said of what lies below them.
        skip_existing: Whether an unchanged file is left alone.
    """
    by_path = {item.facts.path: item for item in known}
    to_probe: list[FoundFile] = []
    unchanged: list[Item] = []
    for file in found:
        item = by_path.pop(file.path, None)
        if item is not None and skip_existing and _is_same(file, item):
            unchanged.append(item)
        else:
            to_probe.append(file)
    vanished = [
        item
        for path, item in by_path.items()
        if item.facts.state != ItemState.ITEM_STATE_MISSING and not _below_any(path, unseen)
    ]
    return ScanPlan(to_probe=to_probe, unchanged=unchanged, vanished=vanished)


def one_write(rows: Sequence[ItemFacts]) -> int:
    """Return how many of the first rows go into one write: as many as fit, and at least one."""
    size = 0
    for count, row in enumerate(rows[:ROW_LIMIT]):
        size += row.ByteSize() + 8
        if size > ROW_BYTES:
            return max(1, count)
    return min(len(rows), ROW_LIMIT)


def lacks_thumbnail(item: Item) -> bool:
    """Say whether an item that can be used has no usual thumbnail of its present content."""
    return item.facts.state == ItemState.ITEM_STATE_OK and not has_current(
        item, "thumbnail", THUMBNAIL_RECIPE
    )


def batches(ids: Sequence[str]) -> list[Sequence[str]]:
    """Divide ids into the batches of follow-up jobs; those beyond `ID_LIMIT` are left to the next scan."""
    taken = ids[:ID_LIMIT]
    size = min(BATCH_LIMIT, max(BATCH, -(-len(taken) // JOB_LIMIT)))
    return [taken[start : start + size] for start in range(0, len(taken), size)]


def _is_same(file: FoundFile, item: Item) -> bool:
    return (
        item.facts.state != ItemState.ITEM_STATE_MISSING
        and item.facts.size_bytes == file.size_bytes
        and item.facts.mtime_ns == file.mtime_ns
    )


def _below_any(path: str, folders: Sequence[str]) -> bool:
    return any(folder in {"", path} or path.startswith(f"{folder}/") for folder in folders)
