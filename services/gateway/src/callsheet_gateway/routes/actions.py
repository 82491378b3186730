"""/api/media/jobs: retry, cancel, pause, resume and reprioritise, one job or many."""

from typing import Final

from fastapi import APIRouter, Response

from callsheet_gateway.access.callers import Caller, RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.access.owning import check_seen
from callsheet_gateway.openapi import problems
from callsheet_gateway.routes.shared import known_id, log_text
from callsheet_gateway.schemas.actions import (
    Actions,
    ActionsDone,
    CancelledJob,
    HeldJob,
    RetriedJob,
    Urgency,
    actions_to_wire,
    actions_view,
    held_view,
)
from callsheet_gateway.schemas.jobs import JobSummary, Status, status_of, summary
from callsheet_gateway.schemas.shared import instant_or_none
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/media/jobs", tags=["jobs"], route_class=GuardedRoute)

UNCONFIRMED: Final = "It runs; its worker has still to confirm."


@router.post("/actions", responses=problems(400, 413, 415))
async def act_on_jobs(state: GatewayState, asked: Actions) -> ActionsDone:
    """Do one thing to many jobs. Those for which it is not possible are told apart, with the reason."""
    return actions_view(await state.client.act_once(actions_to_wire(asked)))


@router.patch("/{job_id}", responses=problems(400, 404, 409, 413, 415))
async def change_job(state: GatewayState, job_id: str, change: Urgency) -> JobSummary:
    """Make a job that is not final more or less urgent."""
    return summary(await state.client.prioritize(known_id(job_id), change.priority))


@router.post("/{job_id}/retry", responses=problems(404, 409))
async def retry_job(state: GatewayState, caller: RequestCaller, job_id: str) -> RetriedJob:
    """Put a failed or cancelled job back into the queue, to run at once."""
    job = await state.client.retry(await own_id(state, caller, job_id))
    return RetriedJob(
        id=job.id,
        status=status_of(job.state),
        retry_count=job.retry_count,
        retry_after=instant_or_none(job.retry_after),
        log=await log_text(state, job.id),
    )


@router.post(
    "/{job_id}/cancel",
    responses=problems(404, 409, also={202: {"model": CancelledJob, "description": UNCONFIRMED}}),
)
async def cancel_job(
    state: GatewayState, caller: RequestCaller, job_id: str, response: Response
) -> CancelledJob:
    """End a job: at once where it waits, and when its worker confirms where it runs."""
    job = await state.client.cancel(await own_id(state, caller, job_id))
    status = status_of(job.state)
    if status is not Status.CANCELLED:
        response.status_code = 202
    return CancelledJob(
        id=job.id,
        status=status,
        log=await log_text(state, job.id),
        cancel_requested_at=instant_or_none(job.cancel_requested_at),
    )


@router.post(
    "/{job_id}/pause",
    response_model_exclude_none=True,
    responses=problems(404, 409, also={202: {"model": HeldJob, "description": UNCONFIRMED}}),
)
async def pause_job(state: GatewayState, caller: RequestCaller, job_id: str, response: Response) -> HeldJob:
    """Hold a job back: at once where it waits, and when its worker has kept a checkpoint where it runs."""
    held = held_view(await state.client.pause(await own_id(state, caller, job_id)))
    if held.status is not Status.PAUSED:
        response.status_code = 202
    return held


@router.post("/{job_id}/resume", response_model_exclude_none=True, responses=problems(404, 409))
async def resume_job(state: GatewayState, caller: RequestCaller, job_id: str) -> HeldJob:
    """Let a paused job wait for its turn again, or call its pause off."""
    return held_view(await state.client.resume(await own_id(state, caller, job_id)))


async def own_id(state: State, caller: Caller, job_id: str) -> str:
    """Return the id of a job that the caller sees, in canonical form."""
    known = known_id(job_id)
    await check_seen(state, caller, known)
    return known
