"""LibraryService: translate in, call, translate out."""

from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1.library_service_pb2 import (
    CreateCollectionRequest,
    CreateCollectionResponse,
    GetCacheStatsRequest,
    GetCacheStatsResponse,
    GetCollectionRequest,
    GetCollectionResponse,
    GetItemRequest,
    GetItemResponse,
    GetItemsRequest,
    GetItemsResponse,
    ListCollectionsRequest,
    ListCollectionsResponse,
    ListItemsRequest,
    ListItemsResponse,
    NoteViewsRequest,
    NoteViewsResponse,
    SampleItemsRequest,
    SampleItemsResponse,
    UpsertItemsRequest,
    UpsertItemsResponse,
)
from callsheet.v1.library_service_pb2_grpc import LibraryServiceServicer
from callsheet_scheduler.domain.library import ItemId
from callsheet_scheduler.rpc.collection_convert import collection_to_wire
from callsheet_scheduler.rpc.library_convert import (
    cache_stats_to_wire,
    filter_from_wire,
    in_hand_from_wire,
    item_ids_from_wire,
    item_to_wire,
    items_from_wire,
    page_to_wire,
)
from callsheet_scheduler.use_cases.collections import Collections
from callsheet_scheduler.use_cases.library import Library

Context = grpc.aio.ServicerContext[Message, Message]

#: Collections of a page.
COLLECTIONS_DEFAULT: Final = 50
COLLECTIONS_MAX: Final = 200


class LibraryService(LibraryServiceServicer):
    """The library as clients and workers see it."""

    def __init__(self, library: Library, collections: Collections) -> None:
        self._library = library
        self._collections = collections

    @override
    async def UpsertItems(self, request: UpsertItemsRequest, context: Context) -> UpsertItemsResponse:
        ids = await self._library.upsert(
            check_id(request.job_id, "job_id"),
            request.token,
            items_from_wire(request.items),
            item_ids_from_wire(request.missing_ids, field="missing_ids"),
            item_ids_from_wire(request.forget_ids, field="forget_ids"),
            in_hand=in_hand_from_wire(request.in_hand) if request.HasField("in_hand") else None,
        )
        return UpsertItemsResponse(ids=ids)

    @override
    async def ListItems(self, request: ListItemsRequest, context: Context) -> ListItemsResponse:
        page = await self._library.list_items(
            filter_from_wire(request),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return page_to_wire(page)

    @override
    async def GetItem(self, request: GetItemRequest, context: Context) -> GetItemResponse:
        if request.id and (request.root or request.path):
            raise InvalidError("name the item by its id or by root and path, not by both", field="id")
        if request.id:
            item = await self._library.get(ItemId(check_id(request.id, "id")))
        else:
            item = await self._library.get_at(request.root, request.path)
        return GetItemResponse(item=item_to_wire(item))

    @override
    async def GetItems(self, request: GetItemsRequest, context: Context) -> GetItemsResponse:
        items = await self._library.get_many(item_ids_from_wire(request.ids, field="ids"))
        return GetItemsResponse(items=[item_to_wire(item) for item in items])

    @override
    async def SampleItems(self, request: SampleItemsRequest, context: Context) -> SampleItemsResponse:
        items = await self._library.sample(request.count)
        return SampleItemsResponse(items=[item_to_wire(item) for item in items])

    @override
    async def NoteViews(self, request: NoteViewsRequest, context: Context) -> NoteViewsResponse:
        await self._library.note_views(item_ids_from_wire(request.item_ids, field="item_ids"))
        return NoteViewsResponse()

    @override
    async def GetCacheStats(self, request: GetCacheStatsRequest, context: Context) -> GetCacheStatsResponse:
        return cache_stats_to_wire(await self._library.cache_stats())

    @override
    async def CreateCollection(
        self, request: CreateCollectionRequest, context: Context
    ) -> CreateCollectionResponse:
        made = await self._collections.create(request.slug, request.title)
        return CreateCollectionResponse(collection=collection_to_wire(made))

    @override
    async def ListCollections(
        self, request: ListCollectionsRequest, context: Context
    ) -> ListCollectionsResponse:
        size = request.page_size or COLLECTIONS_DEFAULT
        if size > COLLECTIONS_MAX:
            raise InvalidError(f"at most {COLLECTIONS_MAX} collections fit a page", field="page_size")
        shown, next_token = await self._collections.page(size=size, after=request.page_token)
        return ListCollectionsResponse(
            collections=[collection_to_wire(one) for one in shown], next_page_token=next_token
        )

    @override
    async def GetCollection(self, request: GetCollectionRequest, context: Context) -> GetCollectionResponse:
        return GetCollectionResponse(collection=collection_to_wire(await self._collections.one(request.slug)))
