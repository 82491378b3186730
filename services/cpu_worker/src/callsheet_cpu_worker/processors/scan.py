"""Finds the media below a folder and keeps the library in step with it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from callsheet.catalog import DERIVATIVES_GENERATE, PUBLIC_SCAN, SCAN
from callsheet.errors import AttemptError
from callsheet.params import ScanParams
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.library import FoundFile, PassedOver, VanishedError
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.threads import in_thread
from callsheet_cpu_worker.probing import item_row, probe_file
from callsheet_cpu_worker.scan_plan import (
    ID_LIMIT,
    ROW_LIMIT,
    ScanPlan,
    batches,
    lacks_thumbnail,
    one_write,
    plan,
)

FLUSH_INTERVAL_S: Final = 2.0
"""How long a row may wait to be written."""
LOGGED_FAULTS: Final = 500
"""Broken files that the log names; the library names all."""


@dataclass(slots=True)
class _Scan:
    """One attempt: what is known, what was counted, what waits to be written."""

    context: JobContext
    root: str
    public: bool
    known: dict[str, Item]
    pending: list[ItemFacts] = field(default_factory=list[ItemFacts])
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    to_follow: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    done: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    """Looked at again and found as they were."""
    broken: int = 0
    passed: int = 0
    """Could not be opened."""


class Scan(Processor[ScanParams]):
    """Rows appear in the library while it runs; one bad file stops nothing."""

    job_type = SCAN
    public = False

    @override
    async def process(self, params: ScanParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such folder, or it leads out of the root.
            TransientError: The root is not there; nothing is marked missing.
            LeaseLostError: Another lease holds the job now.
        """
        target = await in_thread(lambda: _target(context, params))
        found, passed = await in_thread(lambda: _found(context, params.root, target))
        known = await _known(context, params.root, target)
        if not found and known and await in_thread(lambda: context.roots.is_empty(params.root)):
            context.report.log("The root is empty: its disk may not be mounted. No item is marked missing.")
            known = []
        planned = plan(found, known, [one.path for one in passed], skip_existing=params.skip_existing)
        _log_beginning(context, params.root, target, passed, planned)
        scan = _Scan(context, params.root, self.public, {item.facts.path: item for item in known})
        await _look(scan, planned)
        await _forget(scan, planned.vanished)
        return _outcome(scan, planned, len(found))


class PublicScan(Scan):
    """The same, and what it finds is shown to everybody."""

    job_type = PUBLIC_SCAN
    public = True


def _target(context: JobContext, params: ScanParams) -> str:
    """Return the folder or file to scan, relative to the root; empty for the whole root."""
    if params.path is not None:
        return params.path.strip("/")
    if params.directory_type is None:
        return ""
    folder = f"library/{params.directory_type.strip('/')}"
    return folder if context.roots.is_folder(params.root, folder) else ""


def _found(context: JobContext, root: str, target: str) -> tuple[list[FoundFile], list[PassedOver]]:
    if target and not context.roots.is_folder(root, target):
        return _found_alone(context, root, target), []
    found: list[FoundFile] = []
    passed: list[PassedOver] = []
    for entry in context.roots.walk(root, target):
        if isinstance(entry, PassedOver):
            passed.append(entry)
        else:
            found.append(entry)
    return found, passed


def _found_alone(context: JobContext, root: str, path: str) -> list[FoundFile]:
    """Return the one file that the job names; nothing when it is gone, so that its item is marked."""
    try:
        with context.roots.open_file(root, path) as file:
            return [FoundFile(path=path, size_bytes=file.size_bytes, mtime_ns=file.mtime_ns)]
    except VanishedError:
        return []


async def _known(context: JobContext, root: str, target: str) -> list[Item]:
    folder = target.rpartition("/")[0]
    items = await context.library.items_below(root, target)
    if target and not items:
        items = [
            item for item in await context.library.items_below(root, folder) if item.facts.path == target
        ]
    return items


def _log_beginning(
    context: JobContext, root: str, target: str, passed: Sequence[PassedOver], planned: ScanPlan
) -> None:
    where = f"{root}/{target}" if target else root
    count = len(planned.to_probe) + len(planned.unchanged)
    context.report.log(f"Scanning {where}: {count:,} files, {len(planned.unchanged):,} of them unchanged.")
    for one in passed[:LOGGED_FAULTS]:
        context.report.log(f"{one.path}: passed over, {one.reason}")


async def _look(scan: _Scan, planned: ScanPlan) -> None:
    """Look at every new or changed file, and write rows as they come."""
    scan.done = len(planned.unchanged)
    total = scan.done + len(planned.to_probe)
    for item in planned.unchanged:
        _keep_unchanged(scan, item)
    remaining = iter(planned.to_probe)
    ticking = asyncio.create_task(_write_now_and_then(scan))
    lookers = [
        asyncio.create_task(_look_at_some(scan, remaining, total))
        for _ in range(scan.context.children.size * 2)
    ]
    try:
        await _first_failure(ticking, lookers)
    finally:
        for one in (ticking, *lookers):
            one.cancel()
        await asyncio.gather(ticking, *lookers, return_exceptions=True)
    await _write(scan)


async def _first_failure(ticking: "asyncio.Task[None]", lookers: Sequence["asyncio.Task[None]"]) -> None:
    waiting: set[asyncio.Task[None]] = {ticking, *lookers}
    while waiting != {ticking}:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()


def _keep_unchanged(scan: _Scan, item: Item) -> None:
    if scan.public and not item.facts.public:
        row = ItemFacts()
        row.CopyFrom(item.facts)
        row.public = True
        scan.pending.append(row)
    elif lacks_thumbnail(item):
        scan.to_follow.append(item.id)


async def _look_at_some(scan: _Scan, remaining: Iterator[FoundFile], total: int) -> None:
    for file in remaining:
        await _look_at(scan, file.path)
        scan.done += 1
        scan.context.report.progress(scan.done * 100 // total)
        if len(scan.pending) >= ROW_LIMIT:
            await _write(scan)


async def _look_at(scan: _Scan, path: str) -> None:
    known = scan.known.get(path)
    try:
        row = item_row(scan.root, path, await probe_file(scan.context, scan.root, path))
    except VanishedError:
        row = None
    except AttemptError as error:
        scan.passed += 1
        if scan.passed <= LOGGED_FAULTS:
            scan.context.report.log(f"{path}: passed over, {error.message}")
        return
    if row is None:
        if known is not None and known.facts.state != ItemState.ITEM_STATE_MISSING:
            scan.gone.append(known.id)
        return
    row.public = scan.public or (known is not None and known.facts.public)
    _count(scan, row, known)
    scan.pending.append(row)


def _count(scan: _Scan, row: ItemFacts, known: Item | None) -> None:
    if known is None:
        scan.new += 1
    elif known.facts.identity != row.identity or known.facts.state != row.state:
        scan.changed += 1
    else:
        scan.same += 1
    if row.state == ItemState.ITEM_STATE_BROKEN:
        scan.broken += 1
        if scan.broken <= LOGGED_FAULTS:
            scan.context.report.log(f"{row.path}: broken, {row.reason}")


async def _write_now_and_then(scan: _Scan) -> None:
    while True:
        await asyncio.sleep(FLUSH_INTERVAL_S)
        await _write(scan)


async def _write(scan: _Scan) -> None:
    async with scan.writing:
        while scan.pending:
            count = one_write(scan.pending)
            batch, scan.pending = scan.pending[:count], scan.pending[count:]
            ids = await scan.context.library.upsert(batch)
            for row, item_id in zip(batch, ids, strict=True):
                known = scan.known.get(row.path)
                if row.state == ItemState.ITEM_STATE_OK and (known is None or _needs_pictures(known, row)):
                    scan.to_follow.append(item_id)


def _needs_pictures(known: Item, row: ItemFacts) -> bool:
    return known.facts.identity != row.identity or known.facts.state != row.state or lacks_thumbnail(known)


async def _forget(scan: _Scan, vanished: Sequence[Item]) -> None:
    scan.gone += [item.id for item in vanished]
    for start in range(0, len(scan.gone), ROW_LIMIT):
        await scan.context.library.upsert([], missing_ids=scan.gone[start : start + ROW_LIMIT])


def _outcome(scan: _Scan, planned: ScanPlan, found: int) -> Outcome:
    unchanged = scan.same + len(planned.unchanged)
    broken = scan.broken + sum(item.facts.state == ItemState.ITEM_STATE_BROKEN for item in planned.unchanged)
    follow_ups = [
        NewJob(
            type=DERIVATIVES_GENERATE.name,
            params_json=json.dumps({"itemIds": list(batch)}, separators=(",", ":")),
            parent_id=scan.context.lease.job_id,
        )
        for batch in batches(scan.to_follow)
    ]
    scan.context.report.log(
        f"{found:,} files: {scan.new:,} new, {scan.changed:,} changed, {unchanged:,} unchanged, "
        f"{broken:,} broken, {len(scan.gone):,} missing; {len(follow_ups):,} jobs make pictures."
    )
    if len(scan.to_follow) > ID_LIMIT:
        left = len(scan.to_follow) - ID_LIMIT
        scan.context.report.log(f"{left:,} items still need pictures: scan again when these are made.")
    return Outcome(
        result={
            "found": found,
            "new": scan.new,
            "changed": scan.changed,
            "unchanged": unchanged,
            "broken": broken,
            "missing": len(scan.gone),
        },
        follow_ups=follow_ups,
    )
