"""Finds the media below a folder and keeps the library in step with it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from typing_extensions import override

from callsheet.catalog import PUBLIC_SCAN, SCAN
from callsheet.errors import AttemptError, BadInputError
from callsheet.params import ScanParams
from callsheet.paths import path_fault
from callsheet.service.plain import plain_line
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.probing import item_row, probe_file
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.storage.library import FoundFile, PassedOver, VanishedError
from callsheet.worker.threads import in_thread
from callsheet_cpu_worker.pace import Pace
from callsheet_cpu_worker.picture_jobs import PictureJobs, batch_size, waiting_items
from callsheet_cpu_worker.scan_care import Care
from callsheet_cpu_worker.scan_plan import ROW_LIMIT, ScanPlan, lacks_thumbnail, plan, sorted_out
from callsheet_cpu_worker.scan_rows import Rows
from callsheet_cpu_worker.scan_tally import Tally


@dataclass(slots=True)
class _Scan:
    """One attempt: where, what is known, what was counted, what waits to be written."""

    context: JobContext
    root: str
    public: bool
    known: dict[str, Item]
    tally: Tally
    pictures: PictureJobs
    rows: Rows
    care: Care


class Scan(Processor[ScanParams]):
    """Rows and jobs for pictures appear while it runs; one bad file stops nothing."""

    job_type = SCAN
    public = False

    @override
    async def process(self, params: ScanParams, context: JobContext) -> Outcome:
        """Run one attempt.

        Raises:
            BadInputError: There is no such folder or file and never was, or it leads out of the root.
            TransientError: The root is not there; nothing is marked missing.
            LeaseLostError: Another lease holds the job now.
        """
        root, tally = params.root, Tally(context.report)
        target = await in_thread(lambda: _target(context, params))
        context.report.log(plain_line(f"Listing {f'{root}/{target}' if target else root}."))
        found, unseen = await in_thread(lambda: _found(context, root, target))
        waiting = await waiting_items(context)
        known = await _known(context, root, target)
        if found is None and all(item.facts.state == ItemState.ITEM_STATE_MISSING for item in known):
            raise BadInputError(f"{root}/{target}: there is no such folder or file; is the path right?")
        if not found and known and await in_thread(lambda: context.roots.is_empty(root)):
            context.report.log("The root is empty: its disk may not be mounted. No item is marked missing.")
            known = []
        good, bad = sorted_out(found or ())
        planned = plan(
            good,
            known,
            [one.path for one in unseen],
            skip_existing=params.skip_existing,
            skip_broken=context.lease.attempt > 1,  # one of them may be what workers died of
        )
        tally.begin(f"{root}/{target}" if target else root, planned, [*unseen, *bad])
        by_path = {item.facts.path: item for item in known}
        batch = batch_size(len(planned.to_probe) + len(planned.unchanged))
        pictures = PictureJobs(context, waiting, params.pictures, batch)
        rows = Rows(context, by_path, tally, pictures)
        care = Care(context, root, by_path, public=self.public, skips=params.skip_existing)
        scan = _Scan(context, root, self.public, by_path, tally, pictures, rows, care)
        await _look(scan, planned)
        await _forget(scan, planned.vanished)
        return Outcome(result=tally.end(pictures))


class PublicScan(Scan):
    """The same, and what it finds is shown to everybody."""

    job_type = PUBLIC_SCAN
    public = True


def _target(context: JobContext, params: ScanParams) -> str:
    """Return the folder or file to scan, relative to the root; empty for the whole root.

    Raises:
        BadInputError: No item can lie there.
    """
    if params.path is not None:
        return _plain_path(params.path, field="path")
    if params.directory_type is None:
        return ""
    folder = _plain_path(f"library/{params.directory_type}", field="directoryType")
    return folder if context.roots.is_folder(params.root, folder) else ""


def _plain_path(path: str, *, field: str) -> str:
    """Return a path without superfluous parts, as items have it."""
    plain = "/".join(part for part in path.split("/") if part not in {"", "."})
    if plain and (fault := path_fault(plain)):
        raise BadInputError(f"{field}: {fault}; it has to be the path of a folder or file in the root")
    return plain


def _found(
    context: JobContext, root: str, target: str
) -> tuple[Sequence[FoundFile] | None, Sequence[PassedOver]]:
    """Return the files that are there, None where there is neither folder nor file, and what was not seen."""
    if target and not context.roots.is_folder(root, target):
        return _found_alone(context, root, target), []
    found: list[FoundFile] = []
    unseen: list[PassedOver] = []
    for entry in context.roots.walk(root, target):
        if isinstance(entry, PassedOver):
            unseen.append(entry)
        else:
            found.append(entry)
    return found, unseen


def _found_alone(context: JobContext, root: str, path: str) -> Sequence[FoundFile] | None:
    """Return the one file that the job names; None when it is gone, so that its item is marked."""
    try:
        facts = context.roots.facts(root, path)
        return [FoundFile(path=path, size_bytes=facts.size_bytes, mtime_ns=facts.mtime_ns)]
    except VanishedError:
        return None


async def _known(context: JobContext, root: str, target: str) -> list[Item]:
    folder = target.rpartition("/")[0]
    items = await context.library.items_below(root, target)
    if target and not items:
        items = [
            item for item in await context.library.items_below(root, folder) if item.facts.path == target
        ]
    return items


async def _look(scan: _Scan, planned: ScanPlan) -> None:
    """Look at every new or changed file, and write rows as they come."""
    total = len(planned.unchanged) + len(planned.to_probe)
    pace = Pace(count=total, began_at=asyncio.get_running_loop().time(), done=len(planned.unchanged))
    for item in planned.unchanged:
        _keep_unchanged(scan, item)
    await scan.pictures.submit()
    remaining = iter(planned.to_probe)
    ended = asyncio.Event()
    writing = asyncio.create_task(scan.rows.write_until(ended))
    lookers = [
        asyncio.create_task(_look_at_some(scan, remaining, pace))
        for _ in range(scan.context.children.size * 2)
    ]
    try:
        await _first_failure(writing, lookers)
        ended.set()
        await writing  # cancelled it would take the rows with it that it is writing
    finally:
        for one in (writing, *lookers):
            one.cancel()
        await asyncio.gather(writing, *lookers, return_exceptions=True)
    await scan.pictures.submit(rest=True)


async def _first_failure(writing: "asyncio.Task[None]", lookers: Sequence["asyncio.Task[None]"]) -> None:
    waiting: set[asyncio.Task[None]] = {writing, *lookers}
    while waiting != {writing}:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()


def _keep_unchanged(scan: _Scan, item: Item) -> None:
    collection = scan.context.lease.collection
    if (scan.public and not item.facts.public) or (collection and item.collection != collection):
        row = ItemFacts()
        row.CopyFrom(item.facts)
        row.public = scan.public or item.facts.public
        scan.rows.pending.append(row)
    elif lacks_thumbnail(item):
        scan.pictures.want(item.id)


async def _look_at_some(scan: _Scan, remaining: Iterator[FoundFile], pace: Pace) -> None:
    now, report = asyncio.get_running_loop().time, scan.context.report
    for file in remaining:
        async with scan.care.turn():
            await _look_at(scan, file.path)
        pace.done += 1
        report.progress(pace.percent)
        if said := pace.due(now()):
            report.log(said)
        if len(scan.rows.pending) >= ROW_LIMIT:
            await scan.rows.write()


async def _look_at(scan: _Scan, path: str) -> None:
    known = scan.known.get(path)
    try:
        before = partial(scan.care.before, path) if scan.care.needed else None
        found = await probe_file(scan.context, scan.root, path, before=before)
        row = item_row(scan.root, path, found)
    except VanishedError:
        row = None
    except AttemptError as error:
        scan.tally.pass_over(path, error.message)
        return
    if row is not None:
        row.public = scan.public or (known is not None and known.facts.public)
        scan.tally.count(row, known)
        scan.rows.pending.append(row)
    elif known is not None and known.facts.state != ItemState.ITEM_STATE_MISSING:
        scan.tally.gone.append(known.id)


async def _forget(scan: _Scan, vanished: Sequence[Item]) -> None:
    gone = scan.tally.gone
    gone += [item.id for item in vanished]
    for start in range(0, len(gone), ROW_LIMIT):
        await scan.context.library.upsert([], missing_ids=gone[start : start + ROW_LIMIT])
