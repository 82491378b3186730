"""Removes what was made of deleted files, and files in the derivatives' root that no row points at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from typing_extensions import override

from callsheet.catalog import CACHE_SWEEP
from callsheet.params import CacheSweepParams
from callsheet.service.clock import Clock, SystemClock
from callsheet.v1.library_service_pb2 import ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.storage.library import FoundFile
from callsheet.worker.threads import in_thread
from callsheet_cpu_worker.pictures import ROOT

BATCH: Final = 500
"""Files that are looked up at once."""
_OURS: Final = re.compile(r"[a-z]+/[0-9a-f]{2}/(?P<item>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[^/]+")
"""What the path of a derivative looks like; other files are not ours to remove."""


@dataclass(slots=True)
class _Tally:
    """What became of the files."""

    files: int = 0
    removed: int = 0
    removed_bytes: int = 0
    young: int = 0


class CacheSweep(Processor[CacheSweepParams]):
    """Forgets rows first and removes files afterwards, so that no row points at a file that it removed."""

    job_type = CACHE_SWEEP

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    @override
    async def process(self, params: CacheSweepParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: The derivatives' root is not writable here.
            TransientError: It is away.
            LeaseLostError: Another lease holds the job now.
        """
        context.roots.require_writable(ROOT)
        context.report.log(f"Looking for what nothing needs of {', '.join(params.roots)}.")
        missing = await _forget(params, context)
        found = await in_thread(lambda: [one for one in context.roots.walk(ROOT) if _is_ours(one)])
        ours = [one for one in found if isinstance(one, FoundFile)]
        oldest_ns = int((self._clock.now().timestamp() - params.min_age_s) * 1e9)
        tally = _Tally(files=len(ours))
        for start in range(0, len(ours), BATCH):
            await _sweep(context, ours[start : start + BATCH], oldest_ns, tally)
            context.report.progress(min(99, (start + BATCH) * 100 // len(ours)))
        context.report.log(
            f"{tally.files} files: {tally.removed} removed ({tally.removed_bytes:,} bytes), "
            f"{tally.young} without a row are too young; {missing} deleted originals."
        )
        context.report.progress(100)
        return Outcome(
            result={
                "files": tally.files,
                "removed": tally.removed,
                "removedBytes": tally.removed_bytes,
                "young": tally.young,
                "missing": missing,
            }
        )


async def _forget(params: CacheSweepParams, context: JobContext) -> int:
    """Drop the rows that nothing needs, and return how many originals are gone."""
    missing = 0
    for root in dict.fromkeys(params.roots):
        items = await context.library.items_below(root, "")
        missing += sum(item.facts.state == ItemState.ITEM_STATE_MISSING for item in items)
        await context.library.forget_derivatives([item.id for item in items])
    return missing


async def _sweep(context: JobContext, files: Sequence[FoundFile], oldest_ns: int, tally: _Tally) -> None:
    named = {match["item"] for one in files if (match := _OURS.fullmatch(one.path))}
    items = await context.library.items(sorted(named))
    wanted = {made.facts.path for item in items for made in item.derivatives if made.facts.root == ROOT}
    for one in files:
        if one.path in wanted:
            continue
        if one.mtime_ns > oldest_ns:
            tally.young += 1
        elif await in_thread(partial(context.roots.remove, ROOT, one.path)):
            tally.removed += 1
            tally.removed_bytes += one.size_bytes


def _is_ours(found: object) -> bool:
    return isinstance(found, FoundFile) and _OURS.fullmatch(found.path) is not None
