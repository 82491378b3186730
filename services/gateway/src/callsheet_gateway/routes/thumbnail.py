"""/api/media/thumbnail: a still picture of one file."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.originals import item_at, thumbnail_of
from callsheet_gateway.media.pictures import answer_with
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.library import PictureQuestion
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/thumbnail", tags=["cache"], route_class=GuardedRoute)

PICTURE_RESPONSES: Final = problems(
    404,
    409,
    416,
    also={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The part that Range asks for."},
        304: {"description": "The picture is still the one that If-None-Match names."},
    },
)


@router.get("", response_class=Response, responses=PICTURE_RESPONSES)
async def thumbnail(
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    asked: Annotated[PictureQuestion, Query()],
) -> Response:
    """Return a thumbnail of a file.

    One that is not cached is made now. Range and If-None-Match are heeded.
    """
    item, _ = await item_at(state, asked.file_path, by=caller.name)
    facts = await thumbnail_of(state, item, asked.size, field="file_path", by=caller.name)
    return await answer_with(request, state, facts)
