"""/api/async: jobs as tasks, and how far media are processed."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from callsheet.v1.job_pb2 import JobState
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, JobAction, ListJobsRequest
from callsheet.v1.library_service_pb2 import ItemState, ListItemsRequest, MediaKind
from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.access.owning import check_seen, seen_job, seen_only
from callsheet_gateway.openapi import problems
from callsheet_gateway.problems import KINDS, PROBLEM_MEDIA_TYPE
from callsheet_gateway.routes.shared import known_id
from callsheet_gateway.schemas.async_tasks import (
    ACTIVE,
    PICTURE_TYPES,
    CancelledTask,
    KindProgress,
    ProcessingStatus,
    Retried,
    RetryQuestion,
    Task,
    TaskList,
    TasksQuestion,
    ThumbnailStats,
    WorkerHealth,
    causes_of,
    health_view,
    processing_view,
    task_view,
)
from callsheet_gateway.schemas.jobs import Status, status_of
from callsheet_gateway.schemas.library import Kind
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/async", tags=["async"], route_class=GuardedRoute)

FAILURES_SEEN: Final = 200
"""The newest failures, by whose causes are counted."""
UNCONFIRMED: Final = "It runs; its worker has still to confirm."


@router.get("/async-tasks", responses=problems(400))
async def list_tasks(
    state: GatewayState, caller: RequestCaller, asked: Annotated[TasksQuestion, Query()]
) -> TaskList:
    """List the jobs that are not over as tasks, newest first."""
    wanted = ListJobsRequest(states=ACTIVE, page_size=asked.limit, page_token=asked.cursor)
    answer = await state.client.jobs_page(seen_only(wanted, caller))
    return TaskList(
        tasks=[task_view(job) for job in answer.jobs],
        total=answer.total,
        next_cursor=answer.next_page_token or None,
    )


@router.get("/async-tasks/{task_id}", responses=problems(404))
async def show_task(state: GatewayState, caller: RequestCaller, task_id: str) -> Task:
    """Show one job as a task, whatever its status."""
    return task_view(await seen_job(state, caller, known_id(task_id)))


@router.post(
    "/async-tasks/{task_id}/cancel",
    responses=problems(404, 409, also={202: {"model": CancelledTask, "description": UNCONFIRMED}}),
)
async def cancel_task(
    state: GatewayState, caller: RequestCaller, task_id: str, response: Response
) -> CancelledTask:
    """End a job: at once where it waits, and when its worker confirms where it runs."""
    await check_seen(state, caller, known_id(task_id))
    job = await state.client.cancel(known_id(task_id))
    status = status_of(job.state)
    message = "Task cancelled"
    if status is not Status.CANCELLED:
        response.status_code = 202
        message = "Cancellation requested; the worker has still to confirm"
    return CancelledTask(success=True, task_id=job.id, status=status, message=message)


@router.get("/media-processing-status/{voyage_slug}", responses=problems(404))
async def media_processing_status(state: GatewayState, voyage_slug: str) -> ProcessingStatus:
    """Say how far the jobs and the media of one collection are."""
    collection = await state.client.collection(voyage_slug)
    kinds = await asyncio.gather(*(_kind_progress(state, voyage_slug, kind) for kind in Kind))
    return processing_view(collection, dict(zip(Kind, kinds, strict=True)))


@router.get("/thumbnail-generation-stats")
async def thumbnail_generation_stats(state: GatewayState) -> ThumbnailStats:
    """Say how many media have a thumbnail, and how the jobs that make them end."""
    cache, stats, pending, completed, failures = await asyncio.gather(
        state.client.cache_stats(),
        state.client.stats(),
        state.client.jobs_page(_picture_jobs(*ACTIVE, size=1)),
        state.client.jobs_page(_picture_jobs(JobState.JOB_STATE_COMPLETED, size=1)),
        state.client.jobs_page(_picture_jobs(JobState.JOB_STATE_FAILED, size=FAILURES_SEEN)),
    )
    usable = [one for one in cache.items if one.state == ItemState.ITEM_STATE_OK]
    total, made = sum(one.count for one in usable), sum(one.with_thumbnail for one in usable)
    ended = completed.total + failures.total
    return ThumbnailStats(
        total_media=total,
        with_thumbnail=made,
        without_thumbnail=total - made,
        percent_complete=round(100 * made / total, 1) if total else 0.0,
        broken_media=sum(one.count for one in cache.items if one.state == ItemState.ITEM_STATE_BROKEN),
        pending=pending.total,
        completed=completed.total,
        failed=failures.total,
        success_rate=round(completed.total / ended, 3) if ended else 0.0,
        completed_last_hour=stats.completed_last_hour,
        failures_by_cause=causes_of(failures.jobs),
    )


@router.post("/retry-failed-thumbnails", responses=problems(400, 413, 415))
async def retry_failed_thumbnails(state: GatewayState, asked: RetryQuestion | None = None) -> Retried:
    """Put every failed job that makes thumbnails back into the queue."""
    failed = _picture_jobs(JobState.JOB_STATE_FAILED, size=0)
    failed.collection = asked.voyage_slug or "" if asked else ""
    wanted = ActOnJobsRequest(action=JobAction.JOB_ACTION_RETRY, filter=failed)
    retried = 0
    async for answer in state.client.act(wanted):
        retried += len(answer.done_ids)
    jobs = "1 failed thumbnail job is" if retried == 1 else f"{retried:,} failed thumbnail jobs are"
    return Retried(success=True, retried=retried, message=f"{jobs} queued again")


@router.get("/worker-health", response_model=WorkerHealth)
async def worker_health(state: GatewayState) -> Response:
    """Say whether workers serve every category that has work: 200 when they do, else 503.

    The answer with 503 is a problem document that has the fields of the one with 200 as well.
    """
    fleet, queues, types = await asyncio.gather(
        state.client.fleet(), state.client.queues(), state.client.job_types()
    )
    health = health_view(fleet.workers, queues, types)
    told = health.model_dump(mode="json")
    if health.healthy:
        return JSONResponse(told)
    unserved = " and ".join(f"{one.value} ({health.waiting[one]} jobs wait)" for one in health.unserved)
    detail = f"no worker serves {unserved}; start one, or lift its drain"
    slug, title = KINDS[503]
    problem = {"type": f"urn:callsheet:problem:{slug}", "title": title, "status": 503, "detail": detail}
    return JSONResponse(
        problem | {"error": detail} | told,
        status_code=503,
        headers={"Cache-Control": "no-store"},
        media_type=PROBLEM_MEDIA_TYPE,
    )


def _picture_jobs(*states: JobState.ValueType, size: int) -> ListJobsRequest:
    return ListJobsRequest(states=states, types=PICTURE_TYPES, page_size=size)


async def _kind_progress(state: State, slug: str, kind: Kind) -> KindProgress:
    """Return how many items of a kind a collection has."""
    kinds = [MediaKind.Value(f"MEDIA_KIND_{kind.name}")]
    states = (ItemState.ITEM_STATE_OK, ItemState.ITEM_STATE_BROKEN, ItemState.ITEM_STATE_MISSING)
    ok, failed, missing = await asyncio.gather(
        *(
            state.client.items_page(ListItemsRequest(collection=slug, kinds=kinds, states=[one], page_size=1))
            for one in states
        )
    )
    return KindProgress(
        total=ok.total + failed.total + missing.total,
        ok=ok.total,
        failed=failed.total,
        missing=missing.total,
    )
