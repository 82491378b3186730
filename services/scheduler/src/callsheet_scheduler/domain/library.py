"""Items and derivatives as values, and what is refused of them."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NewType

from callsheet.errors import InvalidError
from callsheet.paths import path_fault
from callsheet_scheduler.domain.tags import ItemTag, TagSet, check_tag_set

ItemId = NewType("ItemId", str)
"""A UUIDv7 in canonical lower-case text."""

#: Items, derivatives, or ids of missing items, in one batch.
BATCH_MAX: Final = 1000

#: Characters of the reason why an item is broken.
REASON_MAX: Final = 1000

#: Characters of the JSON of further facts.
EXTRA_MAX: Final = 16 * 1024

#: Bytes of a derivative that is kept in its row.
INLINE_BYTES_MAX: Final = 256

#: Characters of a format, codec, recipe or MIME type.
NAME_MAX: Final = 200

#: Characters that are looked for in paths.
QUERY_MAX: Final = 200

UINT32_MAX: Final = (1 << 32) - 1
INT64_MAX: Final = (1 << 63) - 1

ROTATIONS: Final = frozenset({0, 90, 180, 270})

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROOT: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IDENTITY: Final = re.compile(r"[0-9a-f]{0,128}")
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class MediaKind(IntEnum):
    """What an item is; the values are those on the wire."""

    UNSPECIFIED = 0
    """Not known; refused."""
    IMAGE = 1
    VIDEO = 2
    AUDIO = 3
    DOCUMENT = 4


class Orientation(IntEnum):
    """How an upright picture lies."""

    LANDSCAPE = 1
    PORTRAIT = 2
    SQUARE = 3


class ItemState(IntEnum):
    """Whether an item can be used; the values are those on the wire."""

    UNSPECIFIED = 0
    """Not known; refused."""
    OK = 1
    BROKEN = 2
    MISSING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFacts:
    """What an item's file says of itself. Sizes in pixels are after rotation; 0 or empty for none."""

    root: str
    path: str
    """Relative to the root, with forward slashes."""
    kind: MediaKind
    state: ItemState = ItemState.OK
    reason: str = ""
    """Why it is broken."""
    size_bytes: int = 0
    mtime_ns: int = 0
    identity: str = ""
    """Of the content, in hexadecimal digits."""
    width: int = 0
    height: int = 0
    duration_s: float | None = None
    format: str = ""
    video_codec: str = ""
    audio_codec: str = ""
    rotation: int = 0
    frame_rate: float = 0.0
    bitrate_kbps: int = 0
    pages: int = 0
    extra: str = "{}"
    """Further facts, a JSON object."""
    public: bool = False
    """Shown to everybody. A later write without it hides nothing that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivativeFacts:
    """Which file a derivative is, or its bytes."""

    item_id: ItemId
    kind: str
    recipe: str
    source_identity: str
    """The identity of the content that it was made from."""
    root: str = ""
    """Empty where the bytes are inline."""
    path: str = ""
    media_type: str = ""
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    inline: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenItem:
    """An item that cannot be used, as long as its content is the one that was found broken."""

    item_id: ItemId
    source_identity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryChanges:
    """Rows to write together with a result."""

    items: tuple[ItemFacts, ...] = ()
    derivatives: tuple[DerivativeFacts, ...] = ()
    broken: tuple[BrokenItem, ...] = ()
    tags: tuple[TagSet, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivative:
    """A derivative as it stands. Instants are seconds since 1970."""

    facts: DerivativeFacts
    job_id: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item as it stands. Instants are seconds since 1970."""

    id: ItemId
    facts: ItemFacts
    derivatives: tuple[Derivative, ...]
    """What was made from its present content."""
    created_at: float
    updated_at: float
    collection: str | None = None
    """The slug of the collection that it belongs to."""
    viewed_at: float | None = None
    """When somebody looked at it last."""
    tags: tuple[ItemTag, ...] = ()
    """Of its present content, by source, the best first."""


def check_changes(changes: LibraryChanges, *, field: str = "library") -> None:
    """Refuse what cannot be written.

    Raises:
        InvalidError: Names the first value that is wrong, by its path below *field*.
    """
    check_count(len(changes.items), field=f"{field}.items")
    check_count(len(changes.derivatives), field=f"{field}.derivatives")
    check_count(len(changes.broken), field=f"{field}.broken")
    check_items(changes.items, field=f"{field}.items")
    for index, derivative in enumerate(changes.derivatives):
        _check_derivative(derivative, field=f"{field}.derivatives[{index}]")
    for index, broken in enumerate(changes.broken):
        at = f"{field}.broken[{index}]"
        _check_id(broken.item_id, field=f"{at}.item_id")
        _check_identity(broken.source_identity, field=f"{at}.source_identity")
        _check_reason(broken.reason, field=f"{at}.reason")
    check_count(sum(len(found.tags) for found in changes.tags), field=f"{field}.tags")
    check_count(len(changes.tags), field=f"{field}.tags")
    for index, found in enumerate(changes.tags):
        at = f"{field}.tags[{index}]"
        _check_id(found.item_id, field=f"{at}.item_id")
        _check_identity(found.source_identity, field=f"{at}.source_identity")
        check_tag_set(found, field=at)


def check_items(items: Iterable[ItemFacts], *, field: str) -> None:
    """Refuse the items if one of them cannot be written.

    Raises:
        InvalidError: Names the first value that is wrong, such as ``items[3].path``.
    """
    for index, item in enumerate(items):
        _check_item(item, field=f"{field}[{index}]")


def check_count(count: int, *, field: str, most: int = BATCH_MAX) -> None:
    """Refuse a batch of more than *most*.

    Raises:
        InvalidError: It has more.
    """
    if count > most:
        raise InvalidError(f"has {count} entries; at most {most} are allowed", field=field)


def check_root(root: str, *, field: str) -> None:
    """Refuse what is no name of a root.

    Raises:
        InvalidError: It is none.
    """
    if not _ROOT.fullmatch(root):
        message = "must begin with a lower-case letter, then letters, digits, - and _, at most 64 in all"
        raise InvalidError(message, field=field)


def check_path(path: str, *, field: str) -> None:
    """Refuse a path that is not plainly one inside a root.

    Raises:
        InvalidError: It is something else.
    """
    if fault := path_fault(path):
        raise InvalidError(fault, field=field)


def check_query(query: str, *, field: str) -> None:
    """Refuse to look for what cannot be found.

    Raises:
        InvalidError: It is too long or holds a NUL.
    """
    _check_text(query, QUERY_MAX, field=field)


def folded_items(items: Iterable[ItemFacts]) -> list[ItemFacts]:
    """Return one item for each root and path, the last of several, in the order of root and path."""
    last = {(item.root, item.path.encode()): item for item in items}
    return [last[key] for key in sorted(last)]


def _check_item(item: ItemFacts, *, field: str) -> None:
    check_root(item.root, field=f"{field}.root")
    check_path(item.path, field=f"{field}.path")
    if item.kind is MediaKind.UNSPECIFIED:
        raise InvalidError("must be IMAGE, VIDEO, AUDIO or DOCUMENT", field=f"{field}.kind")
    if item.state is ItemState.BROKEN:
        _check_reason(item.reason, field=f"{field}.reason")
    elif item.reason or item.state is not ItemState.OK:
        raise InvalidError("an item is written as OK, or as BROKEN with a reason", field=f"{field}.state")
    _check_identity(item.identity, field=f"{field}.identity")
    _check_text(item.format, NAME_MAX, field=f"{field}.format")
    _check_text(item.video_codec, NAME_MAX, field=f"{field}.video_codec")
    _check_text(item.audio_codec, NAME_MAX, field=f"{field}.audio_codec")
    _check_figures(item, field)
    if item.extra != "{}":
        _check_extra(item.extra, field=f"{field}.extra_json")


def _check_figures(item: ItemFacts, field: str) -> None:
    _check_range(item.size_bytes, 0, INT64_MAX, field=f"{field}.size_bytes")
    _check_range(item.mtime_ns, -INT64_MAX, INT64_MAX, field=f"{field}.mtime_ns")
    _check_range(item.width, 0, UINT32_MAX, field=f"{field}.width")
    _check_range(item.height, 0, UINT32_MAX, field=f"{field}.height")
    _check_range(item.bitrate_kbps, 0, UINT32_MAX, field=f"{field}.bitrate_kbps")
    _check_range(item.pages, 0, UINT32_MAX, field=f"{field}.pages")
    if item.rotation not in ROTATIONS:
        raise InvalidError("must be 0, 90, 180 or 270", field=f"{field}.rotation")
    if item.duration_s is not None:
        _check_real(item.duration_s, field=f"{field}.duration_s")
    _check_real(item.frame_rate, field=f"{field}.frame_rate")


def _check_derivative(derivative: DerivativeFacts, *, field: str) -> None:
    """Refuse a derivative that is neither a file in a root nor a few bytes."""
    _check_id(derivative.item_id, field=f"{field}.item_id")
    if not _KIND.fullmatch(derivative.kind):
        message = "must be lower-case letters, digits and underscores, at most 64"
        raise InvalidError(message, field=f"{field}.kind")
    _check_text(derivative.recipe, NAME_MAX, field=f"{field}.recipe")
    if not derivative.recipe:
        raise InvalidError("must name how the derivative was made", field=f"{field}.recipe")
    _check_identity(derivative.source_identity, field=f"{field}.source_identity")
    _check_text(derivative.media_type, NAME_MAX, field=f"{field}.media_type")
    _check_range(derivative.width, 0, UINT32_MAX, field=f"{field}.width")
    _check_range(derivative.height, 0, UINT32_MAX, field=f"{field}.height")
    _check_range(derivative.size_bytes, 0, INT64_MAX, field=f"{field}.size_bytes")
    _check_place(derivative, field)


def _check_place(derivative: DerivativeFacts, field: str) -> None:
    size_bytes = len(derivative.inline)
    if size_bytes > INLINE_BYTES_MAX:
        message = f"has {size_bytes} bytes; keep more than {INLINE_BYTES_MAX} in a file"
        raise InvalidError(message, field=f"{field}.inline")
    if not derivative.root:
        if derivative.path or not size_bytes:
            message = "must name the root of the file, or the bytes must be inline"
            raise InvalidError(message, field=f"{field}.root")
        return
    check_root(derivative.root, field=f"{field}.root")
    check_path(derivative.path, field=f"{field}.path")
    if size_bytes:
        raise InvalidError("must be empty where a file is named", field=f"{field}.inline")


def _check_id(item_id: str, *, field: str) -> None:
    if not _ID.fullmatch(item_id):
        raise InvalidError("must be a UUID in canonical lower-case form", field=field)


def _check_identity(identity: str, *, field: str) -> None:
    if not _IDENTITY.fullmatch(identity):
        raise InvalidError("must be at most 128 lower-case hexadecimal digits", field=field)


def _check_reason(reason: str, *, field: str) -> None:
    _check_text(reason, REASON_MAX, field=field)
    if not reason.strip():
        raise InvalidError("must say why the item is broken", field=field)


def _check_text(text: str, most: int, *, field: str) -> None:
    if len(text) > most:
        raise InvalidError(f"has {len(text)} characters; at most {most} are allowed", field=field)
    if "\0" in text:
        raise InvalidError("must not hold a NUL character", field=field)


def _check_range(value: int, low: int, high: int, *, field: str) -> None:
    if not low <= value <= high:
        raise InvalidError(f"must be from {low} to {high}, not {value}", field=field)


def _check_real(value: float, *, field: str) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidError(f"must be a number from 0 on, not {value}", field=field)


def _check_extra(text: str, *, field: str) -> None:
    """Refuse all but a JSON object that every reader understands: no NaN, no NUL, no half surrogate."""
    if len(text) > EXTRA_MAX:
        raise InvalidError(f"has {len(text)} characters; at most {EXTRA_MAX} are allowed", field=field)
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"is not JSON: {error}", field=field) from error
    if not isinstance(value, dict) or _ESCAPED_NUL.search(text):
        raise InvalidError("must be a JSON object without NUL characters", field=field)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
