"""/api/media/videos: the videos of the library."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet.errors import NotFoundError
from callsheet.v1.library_service_pb2 import Item, MediaKind
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.originals import item_of
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.items_question import VideosQuestion, wanted_items
from callsheet_gateway.schemas.library import ItemPage, ItemView, item_page_view, item_view
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/media/videos", tags=["library"], route_class=GuardedRoute)

NO_VIDEO = "Video not found"
"""What clients of the older system look for."""


@router.get("", responses=problems(400))
async def list_videos(state: GatewayState, asked: Annotated[VideosQuestion, Query()]) -> ItemPage:
    """List the videos of the library by root and path; further pages by cursor."""
    answer = await state.client.items_page(wanted_items(asked, [MediaKind.MEDIA_KIND_VIDEO]))
    return item_page_view(answer, asked.limit, state.roots.link)


@router.get("/{video_id}", responses=problems(404))
async def show_video(state: GatewayState, video_id: str) -> ItemView:
    """Show a video with what was made from it."""
    item = await video_of(state, video_id)
    state.views.note(item.id)
    return item_view(item, state.roots.link)


async def video_of(state: State, video_id: str) -> Item:
    """Return the item of a video.

    Raises:
        NotFoundError: There is none with this id, or it is no video.
    """
    try:
        item = await item_of(state, video_id)
    except NotFoundError as error:
        raise NotFoundError(NO_VIDEO) from error
    if item.facts.kind != MediaKind.MEDIA_KIND_VIDEO:
        raise NotFoundError(NO_VIDEO)
    return item
