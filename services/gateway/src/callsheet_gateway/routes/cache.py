"""/api/media/cache: how much is cached."""

from fastapi import APIRouter

from callsheet_gateway.guarding import GuardedRoute
from callsheet_gateway.schemas.library import CacheStats, cache_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/cache", tags=["cache"], route_class=GuardedRoute)


@router.get("/stats")
async def cache_stats(state: GatewayState) -> CacheStats:
    """Say how many thumbnails and how much metadata are cached."""
    return cache_view(await state.client.cache_stats())
