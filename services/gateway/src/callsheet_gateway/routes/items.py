"""/api/media/items: the library."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from callsheet.v1.library_service_pb2 import MediaKind
from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.originals import item_of, thumbnail_of, usable
from callsheet_gateway.media.pictures import answer_with
from callsheet_gateway.openapi import problems
from callsheet_gateway.routes.thumbnail import PICTURE_RESPONSES
from callsheet_gateway.schemas.items_question import ItemsQuestion, wanted_items
from callsheet_gateway.schemas.library import ItemPage, ItemView, SizeQuestion, item_page_view, item_view
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/items", tags=["library"], route_class=GuardedRoute)


@router.get("")
async def list_items(state: GatewayState, asked: Annotated[ItemsQuestion, Query()]) -> ItemPage:
    """List the library by root and path; further pages by cursor."""
    kinds = [MediaKind.Value(f"MEDIA_KIND_{kind.name}") for kind in asked.kind]
    answer = await state.client.items_page(wanted_items(asked, kinds))
    return item_page_view(answer, asked.limit, state.roots.link)


@router.get("/{item_id}", responses=problems(404))
async def show_item(state: GatewayState, item_id: str) -> ItemView:
    """Show an item with what was made from it."""
    item = await item_of(state, item_id)
    state.views.note(item.id)
    return item_view(item, state.roots.link)


@router.get("/{item_id}/thumbnail", response_class=Response, responses=PICTURE_RESPONSES)
async def item_thumbnail(
    state: GatewayState,
    caller: RequestCaller,
    request: Request,
    item_id: str,
    asked: Annotated[SizeQuestion, Query()],
) -> Response:
    """Return a thumbnail of an item.

    One that is not cached is made now. Range and If-None-Match are heeded.
    """
    item = usable(await item_of(state, item_id), field="item_id")
    facts = await thumbnail_of(state, item, asked.size, field="item_id", by=caller.name)
    return await answer_with(request, state, facts)
