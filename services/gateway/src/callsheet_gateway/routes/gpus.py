"""/api/gpus: the ledger of the GPUs."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.schemas.gpus import GpuList, GpusQuestion, gpu_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/gpus", tags=["workers"], route_class=GuardedRoute)


@router.get("")
async def list_gpus(state: GatewayState, asked: Annotated[GpusQuestion, Query()]) -> GpuList:
    """List the account of every GPU: what is charged to it, what is seen there, and what is free.

    With `historyMinutes` also how it stood at the beginning of each of the last minutes.
    """
    accounts = await state.client.devices(history_minutes=asked.history_minutes)
    return GpuList(data=[gpu_view(account) for account in accounts])
