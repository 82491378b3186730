"""LibraryService: translate in, call, translate out."""

from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1.library_service_pb2 import (
    GetCacheStatsRequest,
    GetCacheStatsResponse,
    GetItemRequest,
    GetItemResponse,
    GetItemsRequest,
    GetItemsResponse,
    ItemCount,
    ItemState,
    ListItemsRequest,
    ListItemsResponse,
    MediaKind,
    UpsertItemsRequest,
    UpsertItemsResponse,
)
from callsheet.v1.library_service_pb2_grpc import LibraryServiceServicer
from callsheet_scheduler.domain.library import ROWS_MAX
from callsheet_scheduler.rpc.library_convert import item_from_wire, item_to_wire
from callsheet_scheduler.store.library import ItemFilter
from callsheet_scheduler.use_cases.library import Library

Context = grpc.aio.ServicerContext[Message, Message]

PAGE_DEFAULT: Final = 100


class LibraryService(LibraryServiceServicer):
    """The library as clients and workers see it."""

    def __init__(self, library: Library) -> None:
        self._library = library

    @override
    async def UpsertItems(self, request: UpsertItemsRequest, context: Context) -> UpsertItemsResponse:
        _check_count(len(request.missing_ids), "missing_ids")
        ids = await self._library.upsert(
            (check_id(request.job_id, "job_id"), request.token),
            [item_from_wire(item) for item in request.items],
            [check_id(text, "missing_ids") for text in request.missing_ids],
        )
        return UpsertItemsResponse(ids=ids)

    @override
    async def ListItems(self, request: ListItemsRequest, context: Context) -> ListItemsResponse:
        _check_count(request.page_size, "page_size")
        wanted = ItemFilter(
            root=request.root,
            folder=request.folder,
            kinds=tuple(request.kinds),
            states=tuple(request.states),
            query=request.query,
        )
        items, token, total, exact = await self._library.page(
            wanted,
            size=request.page_size or PAGE_DEFAULT,
            after=request.page_token,
        )
        return ListItemsResponse(
            items=[item_to_wire(item) for item in items],
            next_page_token=token,
            total=total,
            total_is_exact=exact,
        )

    @override
    async def GetItem(self, request: GetItemRequest, context: Context) -> GetItemResponse:
        item_id = check_id(request.id, "id") if request.id else ""
        item = await self._library.item(item_id=item_id, root=request.root, path=request.path)
        return GetItemResponse(item=item_to_wire(item))

    @override
    async def GetItems(self, request: GetItemsRequest, context: Context) -> GetItemsResponse:
        _check_count(len(request.ids), "ids")
        items = await self._library.items([check_id(text, "ids") for text in request.ids])
        return GetItemsResponse(items=[item_to_wire(item) for item in items])

    @override
    async def GetCacheStats(self, request: GetCacheStatsRequest, context: Context) -> GetCacheStatsResponse:
        stats = await self._library.cache_stats()
        return GetCacheStatsResponse(
            derivative_count=stats.derivatives,
            derivative_bytes=stats.derivative_bytes,
            thumbnail_count=stats.thumbnails,
            thumbnail_bytes=stats.thumbnail_bytes,
            item_count=stats.items,
            item_bytes=stats.item_bytes,
            items=[
                ItemCount(
                    kind=MediaKind.ValueType(kind),
                    state=ItemState.ValueType(state),
                    count=count,
                    with_thumbnail=with_thumbnail,
                )
                for kind, state, count, with_thumbnail in stats.counts
            ],
        )


def _check_count(count: int, field: str) -> None:
    if count > ROWS_MAX:
        message = f"at most {ROWS_MAX} are allowed"
        raise InvalidError(message, field=field)
