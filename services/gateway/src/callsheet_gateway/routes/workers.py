"""/api/workers: the fleet, and draining it."""

from datetime import timedelta

from fastapi import APIRouter

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.fleet import Drain, WorkerList, WorkerView, fleet_view, worker_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/workers", tags=["workers"], route_class=GuardedRoute)


@router.get("")
async def list_workers(state: GatewayState) -> WorkerList:
    """List every worker that is connected, holds a lease, or is drained."""
    return fleet_view(await state.client.fleet())


@router.post("/{worker_id}/drain", responses=problems(400, 404, 413, 415))
async def drain_worker(state: GatewayState, worker_id: str, how: Drain | None = None) -> WorkerView:
    """Give a worker no more leases. It finishes what it has, or hands it back after the grace."""
    grace = None if how is None or how.grace_s is None else timedelta(seconds=how.grace_s)
    return worker_view(await state.client.drain_worker(worker_id, grace=grace))


@router.post("/{worker_id}/resume", responses=problems(404))
async def resume_worker(state: GatewayState, worker_id: str) -> WorkerView:
    """Let a drained worker work again."""
    return worker_view(await state.client.resume_worker(worker_id))
