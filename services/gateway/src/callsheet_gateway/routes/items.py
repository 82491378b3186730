"""/api/media/items: the library."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from callsheet.v1.library_service_pb2 import ItemState, ListItemsRequest, MediaKind
from callsheet_gateway.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.originals import item_of, thumbnail_of, usable
from callsheet_gateway.pictures import answer_with
from callsheet_gateway.routes.thumbnail import PICTURE_RESPONSES
from callsheet_gateway.schemas.library import ItemPage, ItemsQuestion, ItemView, SizeQuestion, item_view
from callsheet_gateway.schemas.shared import pagination
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/media/items", tags=["library"], route_class=GuardedRoute)


@router.get("")
async def list_items(state: GatewayState, asked: Annotated[ItemsQuestion, Query()]) -> ItemPage:
    """List the library by root and path; further pages by cursor."""
    answer = await state.client.items_page(
        ListItemsRequest(
            root=asked.root,
            folder=asked.folder,
            kinds=[MediaKind.Value(f"MEDIA_KIND_{kind.name}") for kind in asked.kind],
            states=[ItemState.Value(f"ITEM_STATE_{status.name}") for status in asked.status],
            query=asked.q,
            tags=asked.tag,
            collection=asked.collection or "",
            page_size=asked.limit,
            page_token=asked.cursor,
        )
    )
    return ItemPage(
        data=[item_view(item, state.roots.link) for item in answer.items],
        pagination=pagination(
            page=1,
            limit=asked.limit,
            total=answer.total,
            total_is_exact=answer.total_is_exact,
            next_cursor=answer.next_page_token,
        ),
    )


@router.get("/{item_id}", responses=problems(404))
async def show_item(state: GatewayState, item_id: str) -> ItemView:
    """Show an item with what was made from it."""
    item = await item_of(state, item_id)
    state.views.note(item.id)
    return item_view(item, state.roots.link)


@router.get("/{item_id}/thumbnail", response_class=Response, responses=PICTURE_RESPONSES)
async def item_thumbnail(
    state: GatewayState, request: Request, item_id: str, asked: Annotated[SizeQuestion, Query()]
) -> Response:
    """Return a thumbnail of an item.

    One that is not cached is made now. Range and If-None-Match are heeded.
    """
    item = usable(await item_of(state, item_id), field="item_id")
    facts = await thumbnail_of(state, item, asked.size, field="item_id")
    return await answer_with(request, state, facts)
