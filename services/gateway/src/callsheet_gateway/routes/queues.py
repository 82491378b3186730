"""/api/queues: pauses and limits of the queue by category or type."""

from fastapi import APIRouter

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.fleet import QueueChange, QueueList, QueueView, queue_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/queues", tags=["queues"], route_class=GuardedRoute)


@router.get("")
async def list_queues(state: GatewayState) -> QueueList:
    """List every scope of the queue with its pause, its limits and its jobs."""
    return QueueList(data=[queue_view(queue) for queue in await state.client.queues()])


@router.patch("", responses=problems(400, 404, 413, 415))
async def limit_queue(state: GatewayState, change: QueueChange) -> QueueView:
    """Change how many jobs of a scope may run at once. What runs above a new limit goes on."""
    queue = await state.client.limit_queue(
        change.scope, host=change.limit("host_limit"), fleet=change.limit("fleet_limit")
    )
    return queue_view(queue)


@router.post("/{scope}/pause", responses=problems(404))
async def pause_queue(state: GatewayState, scope: str) -> QueueView:
    """Give no more leases to jobs of a scope. What runs goes on."""
    return queue_view(await state.client.pause_queue(scope))


@router.post("/{scope}/resume", responses=problems(404))
async def resume_queue(state: GatewayState, scope: str) -> QueueView:
    """End the pause of a scope."""
    return queue_view(await state.client.resume_queue(scope))
