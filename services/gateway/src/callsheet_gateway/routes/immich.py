"""/api/immich: Immich servers whose queues run by leases."""

from fastapi import APIRouter

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.immich import (
    ImmichChange,
    ImmichServers,
    ImmichServerView,
    changed_to_wire,
    server_view,
)
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/immich", tags=["immich"], route_class=GuardedRoute)


@router.get("")
async def list_immich_servers(state: GatewayState) -> ImmichServers:
    """List every Immich server with its queues, as its controller last saw them."""
    return ImmichServers(data=[server_view(server) for server in await state.client.immich_servers()])


@router.patch("", responses=problems(400, 404, 413, 415))
async def change_immich_server(state: GatewayState, change: ImmichChange) -> ImmichServerView:
    """Change the order, the limit or the interval of a server's controller, or pause it.

    It takes effect within seconds, when `applied` is true. What runs is never interrupted.
    """
    return server_view(await state.client.change_immich_server(changed_to_wire(change)))
