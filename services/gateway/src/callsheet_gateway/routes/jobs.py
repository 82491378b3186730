"""/api/media/jobs: list, create, show, retry, cancel, log, statistics."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import check_id
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet_gateway.excerpt import Excerpt
from callsheet_gateway.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.jobs import (
    LOG_EXAMPLE,
    CancelledJob,
    CreatedJob,
    JobDetails,
    JobPage,
    JobsQuestion,
    JobStats,
    NewJob,
    RetriedJob,
    Status,
    category_to_wire,
    details,
    new_job_to_wire,
    state_of,
    stats_view,
    status_of,
    summary,
)
from callsheet_gateway.schemas.shared import instant, instant_or_none, pagination
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], route_class=GuardedRoute)

SKIP_MAX: Final = 10_000
"""Jobs that a page number can pass over; deeper lists go by cursor."""
KNOWN_BEFORE: Final = "The same job had been accepted before."
UNCONFIRMED: Final = "It runs; its worker has still to confirm."


@router.get("")
async def list_jobs(state: GatewayState, asked: Annotated[JobsQuestion, Query()]) -> JobPage:
    """List jobs, newest first."""
    answer = await state.client.jobs_page(
        ListJobsRequest(
            states=[state_of(status) for status in asked.status],
            types=asked.type,
            categories=[category_to_wire(category) for category in asked.resource_category],
            query=asked.q,
            page_size=asked.limit,
            page_token=asked.cursor,
            skip=0 if asked.cursor else _skipped(asked),
        )
    )
    return JobPage(
        data=[summary(job) for job in answer.jobs],
        pagination=pagination(
            page=asked.page,
            limit=asked.limit,
            total=answer.total,
            total_is_exact=answer.total_is_exact,
            next_cursor=answer.next_page_token,
        ),
    )


@router.post(
    "",
    status_code=201,
    responses=problems(400, 409, 413, 415, also={200: {"model": CreatedJob, "description": KNOWN_BEFORE}}),
)
async def create_job(state: GatewayState, new: NewJob, response: Response) -> CreatedJob:
    """Create a job. It is committed when this answers."""
    created = await state.client.submit(new_job_to_wire(new))
    if created.existed:
        response.status_code = 200
    return CreatedJob(
        id=created.id,
        type=new.type,
        status=status_of(created.state),
        progress=0,
        created_at=instant(created.created_at),
    )


@router.get("/stats")
async def job_stats(state: GatewayState) -> JobStats:
    """Count the whole queue."""
    return stats_view(await state.client.stats())


@router.get("/{job_id}", responses=problems(404))
async def show_job(state: GatewayState, job_id: str) -> JobDetails:
    """Show a job with its log and its attempts."""
    job = await state.client.job(_known(job_id))
    return details(job, await _log(state, job.id))


@router.get(
    "/{job_id}/log",
    response_class=PlainTextResponse,
    responses=problems(404, also={200: {"content": {"text/plain": {"example": LOG_EXAMPLE}}}}),
)
async def job_log(state: GatewayState, job_id: str) -> Response:
    """Return the whole log of a job as text."""
    pieces = state.client.read_log(_known(job_id))
    first = await anext(pieces, "")
    return StreamingResponse(_after(first, pieces), media_type="text/plain; charset=utf-8")


@router.post("/{job_id}/retry", responses=problems(404, 409))
async def retry_job(state: GatewayState, job_id: str) -> RetriedJob:
    """Put a failed or cancelled job back into the queue, to run at once."""
    job = await state.client.retry(_known(job_id))
    return RetriedJob(
        id=job.id,
        status=status_of(job.state),
        retry_count=job.retry_count,
        retry_after=instant_or_none(job.retry_after),
        log=await _log(state, job.id),
    )


@router.post(
    "/{job_id}/cancel",
    responses=problems(404, 409, also={202: {"model": CancelledJob, "description": UNCONFIRMED}}),
)
async def cancel_job(state: GatewayState, job_id: str, response: Response) -> CancelledJob:
    """End a job: at once where it waits, and when its worker confirms where it runs."""
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


def _skipped(asked: JobsQuestion) -> int:
    skipped = (asked.page - 1) * asked.limit
    if skipped > SKIP_MAX:
        raise InvalidError(
            f"passes over {skipped:,} jobs, and at most {SKIP_MAX:,} are possible; "
            "go on by cursor with the nextCursor of the page before",
            field="page",
        )
    return skipped


def _known(job_id: str) -> str:
    """Return the id in canonical form.

    Raises:
        NotFoundError: It is none, so no job has it.
    """
    try:
        return check_id(job_id, "id")
    except InvalidError as error:
        raise NotFoundError(f"there is no job {job_id[:64]}: an id is a UUID in canonical form") from error


async def _log(state: State, job_id: str) -> str:
    """Return a job's log; of a long one the head and the tail."""
    excerpt = Excerpt()
    async with aclosing(state.client.read_log(job_id)) as pieces:
        async for piece in pieces:
            excerpt.add(piece)
    return excerpt.text(f"/api/media/jobs/{job_id}/log")


async def _after(first: str, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
