"""Follows jobs until they are final: one, or a scan with everything that it set in motion."""

from contextlib import aclosing
from typing import Final

from rich.console import Console

from callsheet.catalog import DERIVATIVES_GENERATE
from callsheet.cli.documents import embedded
from callsheet.cli.output import make_console
from callsheet.cli.painters import Painter, painter_for
from callsheet.cli.summary import LibrarySummary, print_summary, summarize
from callsheet.client import Client
from callsheet.client.steering import FINAL
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.job_service_pb2 import ListJobsRequest

__all__ = ["follow_job", "follow_library", "print_summary"]

#: Jobs of one watch.
WATCHED_MAX: Final = 1_000


async def follow_library(
    client: Client, scan_job_id: str, *, console: Console | None = None
) -> LibrarySummary:
    """Show progress until a scan and all jobs that it caused are final, and return what came of it.

    Progress goes to *console*, else to standard error. A lost scheduler is waited for as long as the
    client's patience says; stopping this stops no job.

    Raises:
        NotFoundError: There is no such job.
        UnavailableError: Patience has ended.
    """
    with painter_for(console or make_console(stderr=True)) as painter:
        scan = await _follow(client, scan_job_id, painter)
        pictures = await _follow_pictures(client, scan, painter)
    return await summarize(client, scan, pictures)


async def follow_job(client: Client, job_id: str, *, console: Console) -> Job:
    """Show progress until a job is final, and return it with its attempts."""
    with painter_for(console) as painter:
        await _follow(client, job_id, painter)
    return await client.job(job_id)


async def _follow(client: Client, job_id: str, painter: Painter) -> Job:
    job = await client.job(job_id)
    name = job.type.replace("_", " ").capitalize()
    painter.show(name, *_progress(job))
    if job.state in FINAL:
        return job
    async with aclosing(client.watch([job_id], initial=True)) as changes:
        async for job in changes:
            painter.show(name, *_progress(job))
            if job.state in FINAL:
                break
    return job


def _progress(job: Job) -> tuple[float, float, str]:
    """Return done, total and a note."""
    note = ""
    if job.state in {JobState.JOB_STATE_PENDING, JobState.JOB_STATE_PAUSED}:
        note = job.waiting_reason or "waiting"
    elif job.state in {JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}:
        note = job.error or "cancelled"
    return job.progress_percent, 100, note


async def _follow_pictures(client: Client, scan: Job, painter: Painter) -> list[Job]:
    """Follow the jobs that make pictures of what the scan found, and return them as they ended."""
    if scan.state != JobState.JOB_STATE_COMPLETED:
        return []
    wanted = ListJobsRequest(types=[DERIVATIVES_GENERATE.name], parent_id=scan.id)
    async with aclosing(client.jobs(wanted)) as children:
        jobs = {job.id: job async for job in children}
    if not jobs:
        return []
    items = {job.id: item_count(job) for job in jobs.values()}
    total = sum(items.values())
    waiting = [job.id for job in jobs.values() if job.state not in FINAL]
    _show_pictures(painter, jobs, items, total)
    for start in range(0, len(waiting), WATCHED_MAX):
        batch = set(waiting[start : start + WATCHED_MAX])
        async with aclosing(client.watch(sorted(batch), initial=True)) as changes:
            async for job in changes:
                jobs[job.id] = job
                _show_pictures(painter, jobs, items, total)
                batch -= {job.id} if job.state in FINAL else set()
                if not batch:
                    break
    return list(jobs.values())


def item_count(job: Job) -> int:
    """Return of how many items a job makes pictures; 1 where it does not say."""
    params = embedded(job.params_json)
    ids = params.get("itemIds") if isinstance(params, dict) else None
    return len(ids) if isinstance(ids, list) else 1


def _show_pictures(painter: Painter, jobs: dict[str, Job], items: dict[str, int], total: int) -> None:
    done = sum(
        items[job.id] * (100 if job.state in FINAL else job.progress_percent) / 100 for job in jobs.values()
    )
    failed = sum(job.state == JobState.JOB_STATE_FAILED for job in jobs.values())
    note = f"{int(done)} of {total} items" + (f", {failed} jobs failed" if failed else "")
    painter.show("Pictures", done, total, note)
