"""/api/gpus: the ledger of the GPUs."""

from fastapi import APIRouter

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.schemas.gpus import GpuList, gpu_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/gpus", tags=["workers"], route_class=GuardedRoute)


@router.get("")
async def list_gpus(state: GatewayState) -> GpuList:
    """List the account of every GPU: what is charged to it, what is seen there, and what is free."""
    return GpuList(data=[gpu_view(account) for account in await state.client.devices()])
