"""/api/media/jobs: list, create one or many, show, log, statistics."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from callsheet.errors import InvalidError
from callsheet.v1.job_service_pb2 import ListChildrenRequest
from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.access.owning import check_needs, check_seen, owned, seen_job, seen_only
from callsheet_gateway.live.log_lines import log_lines
from callsheet_gateway.live.sse import MEDIA_TYPE, event, opening
from callsheet_gateway.openapi import problems
from callsheet_gateway.routes.shared import LastEventId, known_id, log_text
from callsheet_gateway.routes.videos import video_of
from callsheet_gateway.schemas.hours import HoursQuestion, JobHours, hours_view
from callsheet_gateway.schemas.jobs import (
    LOG_EXAMPLE,
    ChildrenQuestion,
    CreatedJob,
    CreatedJobs,
    JobChildren,
    JobDetails,
    JobPage,
    JobsQuestion,
    JobSummary,
    LogQuestion,
    Sort,
    created_view,
    details,
    filter_to_wire,
    summary,
)
from callsheet_gateway.schemas.new_job import Batch, NewJob, Reencode, new_job_to_wire
from callsheet_gateway.schemas.shared import pagination
from callsheet_gateway.schemas.stats import JobStats, stats_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], route_class=GuardedRoute)

SKIP_MAX: Final = 10_000
"""Jobs that a page number can pass over; deeper lists go by cursor."""
LINES_EXAMPLE: Final = (
    opening("0")
    + event(LOG_EXAMPLE.removesuffix("\n"), event_id=str(len(LOG_EXAMPLE)))
    + event('{"status": "completed"}', name="end", event_id=str(len(LOG_EXAMPLE)))
).decode()
KNOWN_BEFORE: Final = "The same job had been accepted before."
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bytes of jobs that go into one transaction."""


@router.get("")
async def list_jobs(
    state: GatewayState, caller: RequestCaller, asked: Annotated[JobsQuestion, Query()]
) -> JobPage:
    """List jobs, newest first unless `sort` has it otherwise."""
    wanted = seen_only(filter_to_wire(asked), caller)
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
async def create_job(
    state: GatewayState, caller: RequestCaller, new: NewJob, response: Response
) -> CreatedJob:
    """Create a job. It is committed when this answers."""
    asked = owned(new_job_to_wire(new), caller)
    await check_needs(state, caller, [asked])
    created = await state.client.submit(asked)
    if created.existed:
        response.status_code = 200
    return created_view(created, new.type)


@router.post("/reencode", status_code=201, responses=problems(400, 404, 413, 415))
async def reencode_video(state: GatewayState, caller: RequestCaller, asked: Reencode) -> JobSummary:
    """Have a video made ready for streaming: a job of the type reencode_streaming."""
    video = await video_of(state, asked.video_id)
    params = asked.model_dump(mode="json", by_alias=True, exclude={"priority"}) | {"videoId": video.id}
    new = NewJob(type="reencode_streaming", params=params, priority=asked.priority)
    created = await state.client.submit(owned(new_job_to_wire(new), caller))
    return summary(await state.client.job(created.id))


@router.post("/batch", status_code=201, responses=problems(400, 409, 413, 415))
async def create_jobs(state: GatewayState, caller: RequestCaller, batch: Batch) -> CreatedJobs:
    """Create up to 1,000 jobs in one transaction: all of them or none."""
    asked = [owned(new_job_to_wire(new), caller) for new in batch.jobs]
    if sum(job.ByteSize() for job in asked) > BATCH_BYTES_MAX:
        raise InvalidError(
            f"together larger than {BATCH_BYTES_MAX:,} bytes; send fewer at once", field="jobs"
        )
    await check_needs(state, caller, asked)
    created = await state.client.submit_many(asked)
    pairs = zip(created, batch.jobs, strict=True)
    return CreatedJobs(data=[created_view(submitted, new.type) for submitted, new in pairs])


@router.get("/stats")
async def job_stats(state: GatewayState) -> JobStats:
    """Count the whole queue."""
    return stats_view(await state.client.stats(), await state.client.devices())


@router.get("/hours")
async def job_hours(state: GatewayState, asked: Annotated[HoursQuestion, Query()]) -> JobHours:
    """Count what came and what ended in each of the last hours, whatever hours had nothing included.

    It costs the same however long the history is.
    """
    return hours_view(await state.client.hours(asked.hours))


@router.get("/{job_id}", responses=problems(404))
async def show_job(state: GatewayState, caller: RequestCaller, job_id: str) -> JobDetails:
    """Show a job with its log and its attempts."""
    job = await seen_job(state, caller, known_id(job_id))
    return details(job, await log_text(state, job.id))


@router.get("/{job_id}/children", responses=problems(400, 404))
async def job_children(
    state: GatewayState,
    caller: RequestCaller,
    job_id: str,
    asked: Annotated[ChildrenQuestion, Query()],
) -> JobChildren:
    """List the jobs that a job has yielded to, in the order given."""
    await check_seen(state, caller, known_id(job_id))
    wanted = ListChildrenRequest(id=known_id(job_id), page_size=asked.limit, page_token=asked.cursor)
    page = await state.client.children_page(wanted)
    return JobChildren(data=[summary(job) for job in page.jobs], next_cursor=page.next_page_token or None)


@router.get(
    "/{job_id}/log",
    response_class=PlainTextResponse,
    responses=problems(
        404,
        also={
            200: {"content": {"text/plain": {"example": LOG_EXAMPLE}, MEDIA_TYPE: {"example": LINES_EXAMPLE}}}
        },
    ),
)
async def job_log(
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    job_id: str,
    asked: Annotated[LogQuestion, Query()],
    last_event_id: LastEventId = "",
) -> Response:
    """Return the whole log of a job as text.

    With `follow=true` its lines come as server-sent events for as long as it grows, then one named `end` with
    the job's status. Who comes again with Last-Event-ID gets what followed.
    """
    if asked.follow:
        job = await seen_job(state, caller, known_id(job_id))
        return state.streams.answer(request, log_lines(state.client, job.id, last_event_id))
    await check_seen(state, caller, known_id(job_id))
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
