"""/api/media/jobs: list, create one or many, show, log, statistics."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from callsheet.errors import InvalidError
from callsheet.v1.job_service_pb2 import ListChildrenRequest
from callsheet_gateway.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.routes.shared import known_id, log_text
from callsheet_gateway.schemas.jobs import (
    LOG_EXAMPLE,
    ChildrenQuestion,
    CreatedJob,
    CreatedJobs,
    JobChildren,
    JobDetails,
    JobPage,
    JobsQuestion,
    Sort,
    created_view,
    details,
    filter_to_wire,
    summary,
)
from callsheet_gateway.schemas.new_job import Batch, NewJob, new_job_to_wire
from callsheet_gateway.schemas.shared import pagination
from callsheet_gateway.schemas.stats import JobStats, stats_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], route_class=GuardedRoute)

SKIP_MAX: Final = 10_000
"""Jobs that a page number can pass over; deeper lists go by cursor."""
KNOWN_BEFORE: Final = "The same job had been accepted before."
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bytes of jobs that go into one transaction."""


@router.get("")
async def list_jobs(state: GatewayState, asked: Annotated[JobsQuestion, Query()]) -> JobPage:
    """List jobs, newest first unless `sort` has it otherwise."""
    wanted = filter_to_wire(asked)
    wanted.page_size = asked.limit
    wanted.page_token = asked.cursor
    wanted.oldest_first = asked.sort is Sort.OLDEST
    wanted.skip = 0 if asked.cursor else _skipped(asked)
    answer = await state.client.jobs_page(wanted)
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
    return created_view(created, new.type)


@router.post("/batch", status_code=201, responses=problems(400, 409, 413, 415))
async def create_jobs(state: GatewayState, batch: Batch) -> CreatedJobs:
    """Create up to 1,000 jobs in one transaction: all of them or none."""
    asked = [new_job_to_wire(new) for new in batch.jobs]
    if sum(job.ByteSize() for job in asked) > BATCH_BYTES_MAX:
        raise InvalidError(
            f"together larger than {BATCH_BYTES_MAX:,} bytes; send fewer at once", field="jobs"
        )
    created = await state.client.submit_many(asked)
    pairs = zip(created, batch.jobs, strict=True)
    return CreatedJobs(data=[created_view(submitted, new.type) for submitted, new in pairs])


@router.get("/stats")
async def job_stats(state: GatewayState) -> JobStats:
    """Count the whole queue."""
    return stats_view(await state.client.stats())


@router.get("/{job_id}", responses=problems(404))
async def show_job(state: GatewayState, job_id: str) -> JobDetails:
    """Show a job with its log and its attempts."""
    job = await state.client.job(known_id(job_id))
    return details(job, await log_text(state, job.id))


@router.get("/{job_id}/children", responses=problems(400, 404))
async def job_children(
    state: GatewayState, job_id: str, asked: Annotated[ChildrenQuestion, Query()]
) -> JobChildren:
    """List the jobs that a job has yielded to, in the order given."""
    wanted = ListChildrenRequest(id=known_id(job_id), page_size=asked.limit, page_token=asked.cursor)
    page = await state.client.children_page(wanted)
    return JobChildren(data=[summary(job) for job in page.jobs], next_cursor=page.next_page_token or None)


@router.get(
    "/{job_id}/log",
    response_class=PlainTextResponse,
    responses=problems(404, also={200: {"content": {"text/plain": {"example": LOG_EXAMPLE}}}}),
)
async def job_log(state: GatewayState, job_id: str) -> Response:
    """Return the whole log of a job as text."""
    pieces = state.client.read_log(known_id(job_id))
    first = await anext(pieces, "")
    return StreamingResponse(_after(first, pieces), media_type="text/plain; charset=utf-8")


def _skipped(asked: JobsQuestion) -> int:
    skipped = (asked.page - 1) * asked.limit
    if skipped > SKIP_MAX:
        raise InvalidError(
            f"passes over {skipped:,} jobs, and at most {SKIP_MAX:,} are possible; "
            "go on by cursor with the nextCursor of the page before",
            field="page",
        )
    return skipped


async def _after(first: str, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
