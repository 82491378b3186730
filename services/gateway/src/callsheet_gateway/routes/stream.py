"""/api/media/items/{id}/stream: the bytes of originals."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from callsheet.errors import NotFoundError
from callsheet.v1.library_service_pb2 import ItemState
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.media_types import MEDIA_TYPES
from callsheet_gateway.media.originals import item_of
from callsheet_gateway.media.streams import answer_with_original
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.library import StreamQuestion
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/items/{item_id}", tags=["library"], route_class=GuardedRoute)

_ORIGINAL = {name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES}


@router.get(
    "/stream",
    response_class=Response,
    responses=problems(
        404,
        409,
        412,
        416,
        also={
            200: {"content": _ORIGINAL},
            206: {"description": "The part that Range asks for.", "content": _ORIGINAL},
            304: {"description": "It is still the one that the client knows."},
        },
    ),
)
async def item_stream(
    state: GatewayState, request: Request, item_id: str, asked: Annotated[StreamQuestion, Query()]
) -> Response:
    """Return the original itself, as players and downloads take it.

    Range (one; several are answered with the whole), If-Range, If-Match, If-None-Match, If-Modified-Since and
    If-Unmodified-Since are heeded. Videos, sound, pictures of pixels and PDF are shown by browsers, anything
    else, and what is broken, is saved.
    """
    item = await item_of(state, item_id)
    if item.facts.state == ItemState.ITEM_STATE_MISSING:
        raise NotFoundError(f"the file {item.facts.path!r} of the root {item.facts.root} is gone")
    return await answer_with_original(request, state, item, download=asked.download)
