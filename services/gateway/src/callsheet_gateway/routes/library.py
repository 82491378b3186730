"""/api/media: metadata, thumbnails, items, and how much is cached."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from callsheet.errors import InvalidError, NotFoundError, StateError, UnavailableError
from callsheet.ids import check_id
from callsheet.v1.job_pb2 import JOB_STATE_COMPLETED, NewJob
from callsheet.v1.library_service_pb2 import (
    ITEM_STATE_BROKEN,
    ITEM_STATE_MISSING,
    DerivativeFacts,
    Item,
    ItemState,
    ListItemsRequest,
    MediaKind,
)
from callsheet_gateway.files import read_file
from callsheet_gateway.routes.jobs import ERRORS
from callsheet_gateway.schemas import (
    CacheCount,
    CacheStats,
    ItemPage,
    ItemView,
    Metadata,
    Pagination,
    instant,
    item_view,
)
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/media", tags=["library"], responses=ERRORS)

#: The side of the box that the usual thumbnail fits.
BOX: Final = 300

DEFAULT_ROOT: Final = "library"

FilePath = Annotated[str, Query(max_length=4096, description="Absolute, relative, or root:path.")]


@router.get("/metadata")
async def metadata(state: GatewayState, file_path: FilePath) -> Metadata:
    """Return what is known of a file; it is read now if it was not yet. Role: VIEWER."""
    root, path = _place(state, file_path)
    item, cached = await _item(state, root, path)
    facts = item.facts
    return Metadata(
        file_path=file_path,
        width=facts.width or None,
        height=facts.height or None,
        file_size=facts.size_bytes,
        duration=facts.duration_s if facts.HasField("duration_s") else None,
        format=facts.format,
        cached=cached,
        cached_at=instant(item.updated_at),
    )


@router.get("/thumbnail", response_class=Response)
async def thumbnail(
    state: GatewayState,
    request: Request,
    file_path: FilePath,
    size: Annotated[int, Query(ge=16, le=2048)] = BOX,
) -> Response:
    """Return a still picture of a file; it is made now if it was not yet. Role: VIEWER."""
    root, path = _place(state, file_path)
    item, _ = await _item(state, root, path)
    found = _thumbnail_of(item, size)
    if found is None:
        params: dict[str, object] = {"videoId": item.id}
        if size != BOX:
            params["width"] = size
        await _do(state, "thumbnail_generate", params)
        item = await state.client.item(item.id)
        found = _thumbnail_of(item, size)
    if found is None:
        message = f"no thumbnail can be made of {file_path}"
        raise NotFoundError(message)
    return await _picture(state, request, found)


@router.get("/cache/stats")
async def cache_stats(state: GatewayState) -> CacheStats:
    """Say how much is cached. Role: VIEWER."""
    stats = await state.client.cache_stats()
    return CacheStats(
        thumbnails=CacheCount(
            exists=stats.thumbnail_count > 0,
            count=stats.thumbnail_count,
            size_bytes=stats.thumbnail_bytes,
        ),
        metadata=CacheCount(
            exists=stats.item_count > 0,
            count=stats.item_count,
            size_bytes=stats.item_bytes,
        ),
    )


@router.get("/items")
async def list_items(
    state: GatewayState,
    *,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=8192)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str | None, Query(pattern="^(image|video|audio|document)$")] = None,
    status: Annotated[str | None, Query(pattern="^(ok|broken|missing)$")] = None,
) -> ItemPage:
    """List the library by path. Role: VIEWER."""
    request = ListItemsRequest(
        query=q,
        kinds=[MediaKind.Value(f"MEDIA_KIND_{kind.upper()}")] if kind else [],
        states=[ItemState.Value(f"ITEM_STATE_{status.upper()}")] if status else [],
        page_size=limit,
        page_token=cursor,
    )
    answer = await state.client.items_page(request)
    return ItemPage(
        data=[item_view(item) for item in answer.items],
        pagination=Pagination(
            page=1,
            limit=limit,
            total=answer.total,
            total_pages=-(-answer.total // limit),
            total_is_exact=answer.total_is_exact,
            next_cursor=answer.next_page_token or None,
        ),
    )


@router.get("/items/{item_id}")
async def show_item(state: GatewayState, item_id: str) -> ItemView:
    """Show one item. Role: VIEWER."""
    try:
        known = check_id(item_id, "id")
    except InvalidError as error:
        message = f"there is no item {item_id[:64]}"
        raise NotFoundError(message) from error
    return item_view(await state.client.item(known))


def _place(state: State, file_path: str) -> tuple[str, str]:
    """Return root and relative path of what a client names.

    Raises:
        NotFoundError: It lies outside every root.
    """
    roots = state.settings.roots
    name, colon, rest = file_path.partition(":")
    if colon and name in roots:
        root, path = name, rest
    elif file_path.startswith("/"):
        given = PurePosixPath(os.path.normpath(file_path))
        for name_of_root, settings in roots.items():
            base = PurePosixPath(os.path.normpath(settings.path))
            if base in given.parents:
                root, path = name_of_root, given.relative_to(base).as_posix()
                break
        else:
            message = f"{file_path} lies in no root of this library"
            raise NotFoundError(message)
    else:
        root, path = DEFAULT_ROOT, file_path
    if not path or "\x00" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        message = f"{file_path!r} names no file in the root {root}"
        raise NotFoundError(message)
    return root, path


async def _item(state: State, root: str, path: str) -> tuple[Item, bool]:
    """Return the item and whether it was known before.

    Raises:
        NotFoundError: There is no such file.
        InvalidError: The file cannot be decoded.
    """
    cached = True
    try:
        item = await state.client.item_at(root, path)
    except NotFoundError:
        cached = False
        await _do(state, "scan", {"root": root, "path": path})
        item = await state.client.item_at(root, path)
    if item.facts.state == ITEM_STATE_MISSING:
        message = f"{path} is no longer there"
        raise NotFoundError(message)
    if item.facts.state == ITEM_STATE_BROKEN:
        message = f"{path} cannot be used: {item.facts.reason}"
        raise InvalidError(message, field="file_path")
    return item, cached


async def _do(state: State, job_type: str, params: dict[str, object]) -> None:
    """Run a job that somebody waits for.

    Raises:
        NotFoundError: It failed.
        UnavailableError: It did not end in time; it goes on.
    """
    job = NewJob(type=job_type, params_json=json.dumps(params), priority=1, interactive=True, max_retries=0)
    submitted = await state.client.submit(job)
    limit_s = state.settings.miss_wait_s
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            final = await state.client.final(submitted.id)
            if final.state == JOB_STATE_COMPLETED:
                return
            raise NotFoundError(final.error or "the job was cancelled")
    message = f"this is still being made by job {submitted.id}; ask again"
    raise UnavailableError(message)


def _thumbnail_of(item: Item, size: int) -> DerivativeFacts | None:
    """Return the thumbnail that fits the box, or the one that is *size* wide."""
    pictures = [d.facts for d in item.derivatives if d.facts.kind == "thumbnail"]
    if size == BOX:
        fitting = [p for p in pictures if max(p.width, p.height) <= BOX]
        return max(fitting, key=lambda p: p.width * p.height, default=None)
    return next((p for p in pictures if p.width == size), None)


async def _picture(state: State, request: Request, facts: DerivativeFacts) -> Response:
    etag = f'"{facts.source_identity[:32]}-{facts.recipe}-{facts.width}x{facts.height}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=86400"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    root = state.settings.roots.get(facts.root)
    if root is None:
        message = f"this gateway does not reach the root {facts.root}, where the picture lies"
        raise StateError(message)
    content = await asyncio.to_thread(read_file, Path(root.path), facts.path)
    return Response(content, media_type=facts.media_type, headers=headers)
