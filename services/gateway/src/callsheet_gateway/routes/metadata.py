"""/api/media/metadata: what is known of one file."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.originals import item_at
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.library import FileQuestion, Metadata, metadata_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/metadata", tags=["cache"], route_class=GuardedRoute)


@router.get("", responses=problems(404))
async def metadata(
    state: GatewayState, caller: RequestCaller, asked: Annotated[FileQuestion, Query()]
) -> Metadata:
    """Return the metadata of a file. One that is not cached, or changed since, is read now."""
    item, cached = await item_at(state, asked.file_path, by=caller.name)
    return metadata_view(asked.file_path, item, cached=cached)
