"""Shows how far a scan and the pictures that follow it are."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from callsheet.client import Client
from callsheet.errors import StateError
from callsheet.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_COMPLETED,
    JOB_STATE_FAILED,
    Job,
)
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet.v1.library_service_pb2 import (
    ITEM_STATE_BROKEN,
    ITEM_STATE_MISSING,
    ITEM_STATE_OK,
    Item,
    ListItemsRequest,
    MediaKind,
)

FINAL: Final = frozenset({JOB_STATE_COMPLETED, JOB_STATE_FAILED, JOB_STATE_CANCELLED})

#: Seconds between two looks.
LOOK_S: Final = 0.3

#: Seconds between two lines where there is no terminal.
LINE_S: Final = 2.0

PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The library after a scan."""

    counts: dict[str, int]
    """Usable items by kind."""
    pictured: int
    """Usable items with a thumbnail."""
    missing: int
    broken: list[Item]
    failed_jobs: list[Job]


async def follow_library(client: Client, scan_job_id: str) -> Summary:
    """Show the scan and its follow-up jobs until all are final, then return what the library holds.

    Raises:
        StateError: The scan failed or was cancelled.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        scan = await _follow_scan(client, scan_job_id, bar)
        if scan.state != JOB_STATE_COMPLETED:
            message = f"the scan ended without success: {scan.error or 'it was cancelled'}"
            raise StateError(message)
        failed = await _follow_children(client, scan_job_id, bar)
    return await _summary(client, failed)


async def _follow_scan(client: Client, job_id: str, bar: Progress) -> Job:
    line = bar.add_task("Scanning", total=100)
    while True:
        job = await client.job(job_id)
        bar.update(line, completed=100 if job.state in FINAL else job.progress_percent)
        if job.state in FINAL:
            return job
        await asyncio.sleep(LOOK_S)


async def _follow_children(client: Client, parent_id: str, bar: Progress) -> list[Job]:
    line = None
    said_after_s = 0.0
    while True:
        children = await _children(client, parent_id)
        stats = await client.cache_stats()
        wanted = sum(count.count for count in stats.items if count.state == ITEM_STATE_OK)
        done = sum(count.with_thumbnail for count in stats.items if count.state == ITEM_STATE_OK)
        if line is None:
            line = bar.add_task("Pictures", total=wanted)
        bar.update(line, completed=done, total=wanted)
        if all(job.state in FINAL for job in children):
            return [job for job in children if job.state == JOB_STATE_FAILED]
        if bar.disable and said_after_s <= 0:
            sys.stderr.write(f"Pictures: {done} of {wanted}\n")
            said_after_s = LINE_S
        said_after_s -= LOOK_S
        await asyncio.sleep(LOOK_S)


async def _children(client: Client, parent_id: str) -> list[Job]:
    request = ListJobsRequest(types=["derivatives_generate"], page_size=PAGE)
    found: list[Job] = []
    while True:
        page = await client.list_jobs(request)
        found += [job for job in page.jobs if job.parent_id == parent_id]
        older = bool(page.jobs) and page.jobs[-1].id < parent_id
        if not page.next_page_token or older:
            return found
        request.page_token = page.next_page_token


async def _summary(client: Client, failed: list[Job]) -> Summary:
    stats = await client.cache_stats()
    counts: dict[str, int] = {}
    pictured = missing = 0
    for count in stats.items:
        if count.state == ITEM_STATE_OK:
            name = MediaKind.Name(count.kind).removeprefix("MEDIA_KIND_").lower()
            counts[name] = counts.get(name, 0) + count.count
            pictured += count.with_thumbnail
        elif count.state == ITEM_STATE_MISSING:
            missing += count.count
    broken = [item async for item in client.all_items(ListItemsRequest(states=[ITEM_STATE_BROKEN]))]
    return Summary(counts=counts, pictured=pictured, missing=missing, broken=broken, failed_jobs=failed)


def print_summary(summary: Summary) -> None:
    """Print what the library holds, and what is broken and why."""
    total = sum(summary.counts.values())
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(summary.counts.items())) or "nothing"
    lines = [f"The library holds {total} items ({kinds}); {summary.pictured} have a thumbnail."]
    if summary.missing:
        lines.append(f"{summary.missing} items are missing: their files are gone.")
    if summary.broken:
        lines.append(f"{len(summary.broken)} files cannot be used:")
        lines += [f"  {item.facts.path}: {item.facts.reason}" for item in summary.broken]
    lines += [f"The job {job.id} failed: {job.error}" for job in summary.failed_jobs]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
