"""/api/schedules: jobs that are submitted again and again."""

from fastapi import APIRouter, Response

from callsheet.errors import NotFoundError
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.schedules import (
    NewSchedule,
    ScheduleChange,
    ScheduleList,
    ScheduleRun,
    ScheduleView,
    added_to_wire,
    changed_to_wire,
    schedule_view,
)
from callsheet_gateway.schemas.shared import instant
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/schedules", tags=["schedules"], route_class=GuardedRoute)


@router.get("")
async def list_schedules(state: GatewayState) -> ScheduleList:
    """List every schedule with its last and next runs."""
    return ScheduleList(data=[schedule_view(schedule) for schedule in await state.client.schedules()])


@router.post("", status_code=201, responses=problems(400, 409, 413, 415))
async def add_schedule(state: GatewayState, new: NewSchedule) -> ScheduleView:
    """Keep a schedule; its job is checked as a submission is. The same once more is no error."""
    return schedule_view(await state.client.add_schedule(added_to_wire(new)))


@router.get("/{name}", responses=problems(404))
async def show_schedule(state: GatewayState, name: str) -> ScheduleView:
    """Show one schedule."""
    return schedule_view(await state.client.schedule(name))


@router.patch("/{name}", responses=problems(400, 404, 413, 415))
async def change_schedule(state: GatewayState, name: str, change: ScheduleChange) -> ScheduleView:
    """Change a schedule. What came before new times of it is not made up for."""
    return schedule_view(await state.client.change_schedule(changed_to_wire(name, change)))


@router.delete("/{name}", status_code=204, responses=problems(404))
async def remove_schedule(state: GatewayState, name: str) -> Response:
    """Forget a schedule. Its jobs stay."""
    if not await state.client.remove_schedule(name):
        raise NotFoundError(f"there is no schedule {name[:64]!r}")
    return Response(status_code=204)


@router.post("/{name}/run", status_code=201, responses=problems(404, 422))
async def run_schedule(state: GatewayState, name: str) -> ScheduleRun:
    """Submit its job now, beside its ticks, also while it is paused."""
    submitted = await state.client.run_schedule(name)
    return ScheduleRun(job_id=submitted.job_id, created_at=instant(submitted.created_at))


@router.post("/{name}/pause", responses=problems(404))
async def pause_schedule(state: GatewayState, name: str) -> ScheduleView:
    """Submit nothing until it is resumed."""
    return schedule_view(await state.client.pause_schedule(name))


@router.post("/{name}/resume", responses=problems(404))
async def resume_schedule(state: GatewayState, name: str) -> ScheduleView:
    """Go on from the next tick; what came while it was paused is not made up for."""
    return schedule_view(await state.client.resume_schedule(name))
