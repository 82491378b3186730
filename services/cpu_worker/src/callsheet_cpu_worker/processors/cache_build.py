"""Keeps the library's pictures made: looks for new files, then makes what is lacking, chunk by chunk.

The parent's first attempt yields to scans, in which an unchanged file costs one stat. Its second yields to
chunks, jobs of the same type that name their items. The last one sums up. It holds no slot in between.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import JsonValue
from typing_extensions import override

from callsheet.catalog import BULK_PRIORITY, CACHE_BUILD, SCAN
from callsheet.ids import new_job_id
from callsheet.params import CacheBuildParams, DerivativeKind
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.library_service_pb2 import Item, ItemState
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor, Yielded
from callsheet.worker.sandbox.work import codec
from callsheet_cpu_worker.batch import make_all
from callsheet_cpu_worker.derived import Wish, lacking, wish_of
from callsheet_cpu_worker.picture_jobs import batch_size

CHUNKS_MAX: Final = 1_000
"""Chunks of one round; what is left over has its turn in the next."""
ROWS_MAX: Final = 1_000
"""Derivatives that one job's result may hold."""
COUNTED: Final[Sequence[str]] = ("made", "skipped", "broken", "failed", "missing")
Counts = dict[str, int]


class CacheBuild(Processor[CacheBuildParams]):
    """A parent and its chunks are of this type; a chunk names items."""

    job_type = CACHE_BUILD

    @override
    async def process(self, params: CacheBuildParams, context: JobContext) -> Outcome | Yielded:
        """Run one attempt.

        Raises:
            CapacityError: The disk is full.
            AttemptError: Every item of a chunk failed for a reason that is not the item's.
        """
        if params.item_ids:
            wish = wish_of(params.kinds, params.boxes, params.format)
            return await make_all(context, [str(one) for one in params.item_ids], wish, force=params.force)
        if context.checkpoint is None:
            return _scans(params, context)
        return await _plan_or_end(params, context, left=context.checkpoint.get("left") != 0)


def _scans(params: CacheBuildParams, context: JobContext) -> Yielded:
    context.report.log(f"Looking for new, changed and deleted files in {', '.join(params.roots)}.")
    jobs: list[NewJob] = []
    for root in dict.fromkeys(params.roots):
        asked: dict[str, JsonValue] = {"root": root, "pictures": False}
        if params.path is not None:
            asked["path"] = params.path
        jobs.append(_job(SCAN.name, asked))
    return Yielded(children=jobs, checkpoint={"files": 0})


async def _plan_or_end(params: CacheBuildParams, context: JobContext, *, left: bool) -> Outcome | Yielded:
    children = await context.queue.children()
    for scan in children:
        if scan.type == SCAN.name and scan.state != JobState.JOB_STATE_COMPLETED:
            context.report.log(f"A scan did not complete ({scan.error or 'it was cancelled'}); going on.")
    chunks = [job for job in children if job.type == CACHE_BUILD.name]
    counts = _sum(chunks)
    went_on = not chunks or (left and not params.force and counts["made"] > 0)
    items = await _items(params, context) if went_on else []
    wish = wish_of(params.kinds, params.boxes, params.format)
    wanted = [item for item in items if lacking(item, wish, force=params.force)]
    if not wanted:
        files = len(items) if not chunks else (context.checkpoint or {}).get("files", 0)
        return _end(context, chunks, counts, files)
    planned = _chunks(params, wish, wanted)
    first = planned[:CHUNKS_MAX]
    context.report.log(
        f"{len(items)} files: {len(items) - len(wanted)} are cached, {len(wanted)} are to be done "
        f"in {len(planned)} jobs."
    )
    if len(planned) > len(first):
        context.report.log(f"{len(first)} of the jobs first; what is left over has its turn afterwards.")
    return Yielded(children=first, checkpoint={"files": len(items), "left": len(planned) - len(first)})


async def _items(params: CacheBuildParams, context: JobContext) -> list[Item]:
    """Return the items that can be used: those looked at last first, then those of the newest files."""
    found: list[Item] = []
    for root in dict.fromkeys(params.roots):
        for item in await context.library.items_below(root, ""):
            path, below = item.facts.path, params.path
            inside = below is None or path == below or path.startswith(f"{below.rstrip('/')}/")
            if inside and item.facts.state == ItemState.ITEM_STATE_OK:
                found.append(item)
    return sorted(found, key=lambda item: (-item.viewed_at.ToSeconds(), -item.facts.mtime_ns))


def _chunks(params: CacheBuildParams, wish: Wish, items: Sequence[Item]) -> list[NewJob]:
    size = min(params.batch or batch_size(len(items)), ROWS_MAX // _rows_of_one(wish, params.kinds))
    common = params.model_dump(mode="json", by_alias=True, include={"kinds", "boxes", "format", "force"})
    return [
        _job(CACHE_BUILD.name, {**common, "itemIds": [item.id for item in items[start : start + size]]})
        for start in range(0, len(items), size)
    ]


def _rows_of_one(wish: Wish, kinds: Iterable[DerivativeKind]) -> int:
    """Return how many rows one item has at most: a thumbhash, and two of a waveform or a sheet."""
    further = {DerivativeKind.WAVEFORM, DerivativeKind.SPRITE}
    return len(wish.pictures) + 1 + (2 if further & set(kinds) else 0)


def _job(job_type: str, params: dict[str, JsonValue]) -> NewJob:
    text = json.dumps(params, separators=(",", ":"))
    return NewJob(id=new_job_id(), type=job_type, params_json=text, priority=BULK_PRIORITY)


def _sum(chunks: Sequence[Job]) -> Counts:
    counts: Counts = dict.fromkeys(COUNTED, 0)
    for job in chunks:
        if job.state == JobState.JOB_STATE_COMPLETED:
            for name, count in codec(Counts).validate_json(job.result_json).items():
                counts[name] += count
    return counts


def _end(context: JobContext, chunks: Sequence[Job], counts: Counts, files: JsonValue) -> Outcome:
    lost = sum(job.state != JobState.JOB_STATE_COMPLETED for job in chunks)
    took_s = _span_s(chunks)
    done = counts["made"] + counts["skipped"] + counts["broken"] + counts["failed"]
    rate = round(done / took_s, 1) if took_s else 0.0
    context.report.log(
        f"{files} files: {counts['made']} made, {counts['skipped']} skipped, {counts['broken']} broken, "
        f"{counts['failed']} failed in {took_s:.1f} s: {rate} files/s."
    )
    if lost:
        context.report.log(f"{lost} of {len(chunks)} jobs did not complete; the next build does their part.")
    context.report.progress(100)
    result: dict[str, JsonValue] = {"files": files, "jobs": len(chunks), "jobsLost": lost}
    return Outcome(result={**result, **counts, "seconds": round(took_s, 1), "filesPerSecond": rate})


def _span_s(jobs: Sequence[Job]) -> float:
    """Return the seconds from the start of the first job to the end of the last."""
    ran = [job for job in jobs if job.HasField("started_at") and job.HasField("finished_at")]
    if not ran:
        return 0.0
    start_ns = min(job.started_at.ToNanoseconds() for job in ran)
    return (max(job.finished_at.ToNanoseconds() for job in ran) - start_ns) / 1e9
