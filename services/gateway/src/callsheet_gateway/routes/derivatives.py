"""/api/media/items/{id}: previews, waveforms and sheets for scrubbing."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from callsheet_gateway.access.callers import caller_of
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.media.originals import (
    PEAKS,
    PREVIEW,
    SPRITE,
    SPRITE_TRACK,
    WAVEFORM,
    Further,
    derivative_of,
    item_of,
    usable,
)
from callsheet_gateway.media.pictures import answer_with
from callsheet_gateway.openapi import problems
from callsheet_gateway.state import GatewayState, State

router = APIRouter(prefix="/api/media/items/{item_id}", tags=["library"], route_class=GuardedRoute)


def _responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    content: Final = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return problems(
        404,
        409,
        416,
        also={
            200: {"content": content},
            206: {"description": "The part that Range asks for."},
            304: {"description": "It is still the one that If-None-Match names."},
        },
    )


@router.get("/preview", response_class=Response, responses=_responses("image/jpeg"))
async def item_preview(state: GatewayState, request: Request, item_id: str) -> Response:
    """Return a picture that fits a box of 1600 by 1600 pixels. One that is not cached is made now."""
    return await _answer(state, request, item_id, PREVIEW)


@router.get("/waveform", response_class=Response, responses=_responses("image/png"))
async def item_waveform(state: GatewayState, request: Request, item_id: str) -> Response:
    """Return a picture of how loud a recording is over time. One that is not cached is made now."""
    return await _answer(state, request, item_id, WAVEFORM)


@router.get("/waveform.json", response_class=Response, responses=_responses("application/json"))
async def item_peaks(state: GatewayState, request: Request, item_id: str) -> Response:
    """Return the peaks of a recording in the format of audiowaveform, version 2, as players read it."""
    return await _answer(state, request, item_id, PEAKS)


@router.get("/sprite", response_class=Response, responses=_responses("image/jpeg"))
async def item_sprite(state: GatewayState, request: Request, item_id: str) -> Response:
    """Return the sheet of a video's small pictures. One that is not cached is made now."""
    return await _answer(state, request, item_id, SPRITE)


@router.get("/sprite.vtt", response_class=Response, responses=_responses("text/vtt"))
async def item_sprite_track(state: GatewayState, request: Request, item_id: str) -> Response:
    """Return the WebVTT track that says which part of `sprite` belongs to which time.

    Give its address to a player as the track of kind `metadata` for previews while scrubbing.
    """
    return await _answer(state, request, item_id, SPRITE_TRACK)


async def _answer(state: State, request: Request, item_id: str, wanted: Further) -> Response:
    item = usable(await item_of(state, item_id), field="item_id")
    facts = await derivative_of(state, item, wanted, by=caller_of(request).name)
    return await answer_with(request, state, facts)
