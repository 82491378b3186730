"""/api/media/cache: how much is cached, and building it anew."""

import json

from fastapi import APIRouter
from pydantic import JsonValue

from callsheet.catalog import BULK_PRIORITY, CACHE_BUILD
from callsheet.v1.job_pb2 import NewJob
from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.access.owning import owned
from callsheet_gateway.media.places import place_of
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.cache import Rebuild, RebuildStarted
from callsheet_gateway.schemas.library import CacheStats, cache_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/cache", tags=["cache"], route_class=GuardedRoute)


@router.get("/stats")
async def cache_stats(state: GatewayState) -> CacheStats:
    """Say how many thumbnails and how much metadata are cached."""
    return cache_view(await state.client.cache_stats())


@router.post("/rebuild", responses=problems(400, 404, 413, 415))
async def rebuild_cache(
    state: GatewayState, caller: RequestCaller, asked: Rebuild | None = None
) -> RebuildStarted:
    """Start a build of the cache: what is there already is left alone, unless `force` says otherwise.

    While one of everything is under way, that is the answer.
    """
    wanted = asked or Rebuild()
    params: dict[str, JsonValue] = {}
    if wanted.path is not None:
        root, path = place_of(wanted.path, state.settings.folders(), state.settings.default_root)
        params |= {"roots": [root], "path": path}
    if wanted.force:
        params["force"] = True
    build = NewJob(
        type=CACHE_BUILD.name,
        params_json=json.dumps(params),
        priority=BULK_PRIORITY,
        unique_key="" if params else "cache-build",
    )
    submitted = await state.client.submit(owned(build, caller))
    return RebuildStarted(success=True, message="Cache rebuild started in background", job_id=submitted.id)
