"""/api/roots: where originals and what is made of them lie."""

from fastapi import APIRouter

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.schemas.roots import RootList, roots_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/roots", tags=["library"], route_class=GuardedRoute)


@router.get("")
async def list_roots(state: GatewayState) -> RootList:
    """List the named roots: of which kind each is, who reaches it, and who may write to it."""
    fleet = await state.client.fleet()
    return roots_view(state.settings.roots, fleet.workers)
