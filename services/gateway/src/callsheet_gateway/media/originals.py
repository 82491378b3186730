"""Finds the item of a file, reads the file where it is not known, and has pictures of it made."""

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from callsheet.errors import AttemptError, BadInputError, InvalidError, NotFoundError, UnavailableError
from callsheet.ids import check_id
from callsheet.media.recipes import (
    PEAKS_RECIPE,
    PREVIEW_BOX,
    SPRITE_RECIPE,
    SPRITE_TRACK_RECIPE,
    WAVEFORM_RECIPE,
    box_recipe,
    still_recipe,
)
from callsheet.params import DerivativeKind
from callsheet.v1.library_service_pb2 import DerivativeFacts, Item, ItemState, MediaKind
from callsheet.worker.threads import in_thread
from callsheet_gateway.media.places import place_of
from callsheet_gateway.schemas.library import BOX
from callsheet_gateway.state import State

THUMBNAIL = "thumbnail"


@dataclass(frozen=True, slots=True)
class Further:
    """What items have besides thumbnails: the kind and recipe of its row, and what makes it."""

    kind: str
    recipe: str
    made_by: DerivativeKind
    of: frozenset[int] = frozenset(MediaKind.values())
    """The kinds of items that can have it."""


PREVIEW: Final = Further("preview", box_recipe(PREVIEW_BOX), DerivativeKind.PREVIEW)
_RECORDINGS: Final = frozenset({MediaKind.MEDIA_KIND_AUDIO})
_FILMS: Final = frozenset({MediaKind.MEDIA_KIND_VIDEO})
WAVEFORM: Final = Further("waveform", WAVEFORM_RECIPE, DerivativeKind.WAVEFORM, _RECORDINGS)
PEAKS: Final = Further("peaks", PEAKS_RECIPE, DerivativeKind.WAVEFORM, _RECORDINGS)
SPRITE: Final = Further("sprite", SPRITE_RECIPE, DerivativeKind.SPRITE, _FILMS)
SPRITE_TRACK: Final = Further("sprite_track", SPRITE_TRACK_RECIPE, DerivativeKind.SPRITE, _FILMS)


async def item_at(state: State, file_path: str, *, by: str) -> tuple[Item, bool]:
    """Return the item of a file as it is now, and whether it was known.

    A file that the library does not know, or knows with another size or modification time, is read first,
    by a job of the caller *by*.

    Raises:
        NotFoundError: It lies outside of every root, or there is no such file.
        InvalidError: It cannot be used; says why.
        OverloadedError: Too much is in the making.
        UnavailableError: It is still being read, or its root or the scheduler is away.
    """
    root, path = place_of(file_path, state.settings.folders(), state.settings.default_root)
    item = await _known(state, root, path)
    cached = item is not None and await _is_unchanged(state, item)
    if item is None or not cached:
        await state.making.make("scan", {"root": root, "path": path}, field="file_path", by=by)
        item = await _known(state, root, path)
    if item is None or item.facts.state == ItemState.ITEM_STATE_MISSING:
        raise NotFoundError(f"file_path: there is no media file {path!r} in the root {root}")
    return usable(item, field="file_path"), cached


async def item_of(state: State, item_id: str) -> Item:
    """Return the item with this id.

    Raises:
        NotFoundError: There is none.
    """
    try:
        known = check_id(item_id, "id")
    except InvalidError as error:
        raise NotFoundError(f"there is no item {item_id[:64]}: an id is a UUID in canonical form") from error
    return await state.client.item(known)


def usable(item: Item, *, field: str) -> Item:
    """Return the item if something can be made of it.

    Raises:
        NotFoundError: Its file is gone.
        InvalidError: Its file cannot be used; names *field*.
    """
    facts = item.facts
    if facts.state == ItemState.ITEM_STATE_MISSING:
        raise NotFoundError(f"the file {facts.path!r} of the root {facts.root} is gone")
    if facts.state == ItemState.ITEM_STATE_BROKEN:
        raise InvalidError(f"{facts.path!r} cannot be used: {facts.reason}", field=field)
    return item


async def thumbnail_of(state: State, item: Item, size: int, *, field: str, by: str) -> DerivativeFacts:
    """Return the thumbnail of an item, made now if it was not yet.

    Args:
        state: The gateway.
        item: Of a file that can be used.
        size: Width in pixels; `BOX` for the usual box.
        field: What a failure is blamed on.
        by: Who asks.

    Raises:
        InvalidError: None can be made; says why.
        NotFoundError: The item went away meanwhile.
        OverloadedError: Too much is in the making.
        UnavailableError: It is still being made, or the scheduler is away.
    """
    width = None if size == BOX else size
    recipe = still_recipe(None, width)
    found = _current(item, THUMBNAIL, recipe)
    if found is None:
        asked: dict[str, JsonValue] = {"videoId": item.id}
        if width is not None:
            asked["width"] = width
        await state.making.make("thumbnail_generate", asked, field=field, by=by)
        found = _current(await state.client.item(item.id), THUMBNAIL, recipe)
    if found is None:
        raise UnavailableError("the file changed while its picture was made; ask again")
    return found


async def derivative_of(state: State, item: Item, wanted: Further, *, by: str) -> DerivativeFacts:
    """Return a derivative of an item, made now for the caller *by* if it was not yet.

    Raises:
        NotFoundError: Items of its kind have none, or none can be made of this one.
        InvalidError: None can be made; says why.
        OverloadedError: Too much is in the making.
        UnavailableError: It is still being made, or the scheduler is away.
    """
    if item.facts.kind not in wanted.of:
        raise NotFoundError(f"{item.facts.path!r} has no {wanted.made_by}: it is of another kind")
    found = _current(item, wanted.kind, wanted.recipe)
    if found is None:
        asked: dict[str, JsonValue] = {"itemIds": [item.id], "kinds": [wanted.made_by.value]}
        await state.making.make("derivatives_generate", asked, field="item_id", by=by)
        found = _current(await state.client.item(item.id), wanted.kind, wanted.recipe)
    if found is None:
        raise NotFoundError(f"no {wanted.made_by} can be made of {item.facts.path!r}; its job says why")
    return found


async def _known(state: State, root: str, path: str) -> Item | None:
    try:
        return await state.client.item_at(root, path)
    except NotFoundError:
        return None


async def _is_unchanged(state: State, item: Item) -> bool:
    """Say whether an item's file still has the size and modification time that the library knows.

    Raises:
        UnavailableError: Its root cannot be read now.
    """
    facts = item.facts
    if facts.state == ItemState.ITEM_STATE_MISSING:
        return False
    try:
        found = await in_thread(lambda: state.roots.facts(facts.root, facts.path))
    except BadInputError:
        return False
    except AttemptError as error:
        raise UnavailableError(error.message) from error
    return (found.size_bytes, found.mtime_ns) == (facts.size_bytes, facts.mtime_ns)


def _current(item: Item, kind: str, recipe: str) -> DerivativeFacts | None:
    for derivative in item.derivatives:
        facts = derivative.facts
        if (facts.kind, facts.recipe, facts.source_identity) == (kind, recipe, item.facts.identity):
            return facts
    return None
