"""/api/collections: jobs and items under one slug."""

from typing import Annotated

from fastapi import APIRouter, Query

from callsheet.v1.library_service_pb2 import ListCollectionsRequest
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.collections import (
    CollectionPage,
    CollectionsQuestion,
    CollectionView,
    NewCollection,
    collection_view,
)
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/collections", tags=["collections"], route_class=GuardedRoute)


@router.get("", responses=problems(400))
async def list_collections(
    state: GatewayState, asked: Annotated[CollectionsQuestion, Query()]
) -> CollectionPage:
    """List collections by slug, with their progress. Jobs of one: `/api/media/jobs?collection=`."""
    page = await state.client.collections_page(
        ListCollectionsRequest(page_size=asked.limit, page_token=asked.cursor)
    )
    return CollectionPage(
        data=[collection_view(one) for one in page.collections], next_cursor=page.next_page_token or None
    )


@router.post("", status_code=201, responses=problems(400, 413, 415))
async def create_collection(state: GatewayState, new: NewCollection) -> CollectionView:
    """Make a collection, or give the one that is there another title."""
    return collection_view(await state.client.create_collection(new.slug, new.title))


@router.get("/{slug}", responses=problems(404))
async def show_collection(state: GatewayState, slug: str) -> CollectionView:
    """Show a collection with its progress."""
    return collection_view(await state.client.collection(slug))
