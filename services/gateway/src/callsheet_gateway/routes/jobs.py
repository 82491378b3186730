"""/api/media/jobs: list, create, show, retry, cancel, log, statistics."""

import json
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import check_id
from callsheet.v1 import job_pb2
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet_gateway.problems import Problem
from callsheet_gateway.schemas import (
    CancelledJob,
    Category,
    CreatedJob,
    JobDetails,
    JobPage,
    JobStats,
    NewJob,
    Pagination,
    RetriedJob,
    Status,
    category_of,
    details,
    instant,
    instant_or_none,
    status_of,
    summary,
)
from callsheet_gateway.state import GatewayState, State

ERRORS: Final[dict[int | str, dict[str, object]]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
}

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], responses=ERRORS)

#: A longer log is shown by its head and its tail.
LOG_SHOWN_MAX: Final = 10_240

#: Characters of a log that are served as text.
LOG_TEXT_MAX: Final = 16 * 1024 * 1024

#: How many jobs a page number can pass over; deeper lists go by cursor.
SKIP_MAX: Final = 10_000


@router.get("")
async def list_jobs(
    state: GatewayState,
    *,
    page: Annotated[int, Query(ge=1)] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    status: Status | None = None,
    type: Annotated[str | None, Query(max_length=64)] = None,  # noqa: A002 -- the documented name
    resource_category: Annotated[Category | None, Query(alias="resourceCategory")] = None,
    q: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> JobPage:
    """List jobs, newest first. Role: OPERATOR."""
    request = ListJobsRequest(
        states=[job_pb2.JobState.Value(f"JOB_STATE_{status.name}")] if status else [],
        types=[type] if type else [],
        categories=[_category(resource_category)] if resource_category else [],
        query=q,
        page_size=limit,
        page_token=cursor,
        skip=0 if cursor else min((page - 1) * limit, SKIP_MAX),
    )
    answer = await state.client.jobs_page(request)
    return JobPage(
        data=[summary(job) for job in answer.jobs],
        pagination=Pagination(
            page=page,
            limit=limit,
            total=answer.total,
            total_pages=-(-answer.total // limit),
            total_is_exact=answer.total_is_exact,
            next_cursor=answer.next_page_token or None,
        ),
    )


@router.post("", status_code=201)
async def create_job(state: GatewayState, new: NewJob) -> CreatedJob:
    """Create a job. Role: SUBMITTER."""
    request = job_pb2.NewJob(
        type=new.type,
        params_json=json.dumps(new.params),
        priority=new.priority,
        category=_category(new.resource_category),
        vram_mib=new.vram_required,
        max_retries=new.max_retries,
    )
    if new.run_at is not None:
        stamp = Timestamp()
        stamp.FromDatetime(new.run_at)
        request.run_at.CopyFrom(stamp)
    created = await state.client.submit(request)
    return CreatedJob(
        id=created.id,
        type=new.type,
        status=status_of(created.state),
        created_at=instant(created.created_at),
    )


@router.get("/stats")
async def job_stats(state: GatewayState) -> JobStats:
    """Count the whole queue. Role: OPERATOR."""
    stats = await state.client.stats()
    totals = dict.fromkeys((status.value for status in Status), 0)
    per_category: dict[str, dict[str, int]] = {category.value: dict(totals) for category in Category}
    for count in stats.states:
        status = status_of(count.state).value
        totals[status] += count.count
        per_category[category_of(count.category).value][status] += count.count
    return JobStats(
        **totals,
        total_vram_used=stats.vram_allocated_mib,
        total_vram_available=stats.vram_capacity_mib,
        average_processing_time=round(stats.mean_run_s, 3),
        jobs_by_type=dict(stats.created_by_type),
        per_category=per_category,
        throughput={"completedLastHour": stats.completed_last_hour},
    )


@router.get("/{job_id}")
async def show_job(state: GatewayState, job_id: str) -> JobDetails:
    """Show a job with its log. Role: OPERATOR."""
    job = await state.client.job(_known(job_id))
    return details(job, await _log(state, job.id))


@router.get("/{job_id}/log", response_class=PlainTextResponse)
async def job_log(state: GatewayState, job_id: str) -> PlainTextResponse:
    """Return the whole log as text. Role: OPERATOR."""
    pieces: list[str] = []
    size = 0
    async for text in state.client.read_log(_known(job_id)):
        pieces.append(text)
        size += len(text)
        if size > LOG_TEXT_MAX:
            break
    return PlainTextResponse("".join(pieces))


@router.post("/{job_id}/retry")
async def retry_job(state: GatewayState, job_id: str) -> RetriedJob:
    """Put a failed or cancelled job back into the queue, at once. Role: OPERATOR."""
    job = await state.client.retry(_known(job_id))
    return RetriedJob(
        id=job.id,
        status=status_of(job.state),
        retry_count=job.retry_count,
        retry_after=instant_or_none(job.retry_after),
        log=await _log(state, job.id),
    )


@router.post("/{job_id}/cancel", responses={202: {"model": CancelledJob}})
async def cancel_job(state: GatewayState, job_id: str, response: Response) -> CancelledJob:
    """End a job; 202 while its worker has still to confirm. Role: OPERATOR."""
    job = await state.client.cancel(_known(job_id))
    status = status_of(job.state)
    if status is not Status.CANCELLED:
        response.status_code = 202
    return CancelledJob(
        id=job.id,
        status=status,
        log=await _log(state, job.id),
        cancel_requested_at=instant_or_none(job.cancel_requested_at),
    )


async def _log(state: State, job_id: str) -> str:
    """Return the log; of a long one the head and the tail."""
    head, tail = "", ""
    async for text in state.client.read_log(job_id):
        if len(head) < LOG_SHOWN_MAX // 2:
            head += text
        else:
            tail = (tail + text)[-LOG_SHOWN_MAX:]
    whole = head + tail
    if len(whole) <= LOG_SHOWN_MAX:
        return whole
    half = LOG_SHOWN_MAX // 2
    return (
        f"{whole[:half]}\n[... the middle is left out; see /api/media/jobs/{job_id}/log ...]\n{whole[-half:]}"
    )


def _known(job_id: str) -> str:
    try:
        return check_id(job_id, "id")
    except InvalidError as error:
        message = f"there is no job {job_id[:64]}"
        raise NotFoundError(message) from error


def _category(category: Category | None) -> job_pb2.ResourceCategory.ValueType:
    name = "UNSPECIFIED" if category is None else category.name
    return job_pb2.ResourceCategory.Value(f"RESOURCE_CATEGORY_{name}")
