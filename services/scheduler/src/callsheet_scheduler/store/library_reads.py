"""Reads media items and what is made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from callsheet_scheduler.domain.library import (
    Derivative,
    DerivativeFacts,
    Item,
    ItemFacts,
    ItemId,
    ItemState,
    MediaKind,
    Orientation,
)
from callsheet_scheduler.domain.tags import ItemTag
from callsheet_scheduler.store.paging import decode_place, encode_place, fitting
from callsheet_scheduler.store.patterns import any_case, below
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.store.tables import LIBRARY_ITEM, LIBRARY_TAG
from callsheet_scheduler.store.tags import read_tags

#: Where counting stops.
COUNT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items. All that is given must hold; what is empty always does."""

    root: str = ""
    folder: str = ""
    """This path and all below it, without a slash at the end."""
    kinds: tuple[MediaKind, ...] = ()
    states: tuple[ItemState, ...] = ()
    query: str = ""
    """A part of the path or the title, in any case."""
    collection: str = ""
    tags: tuple[str, ...] = ()
    """All of them, whoever says so."""
    orientations: tuple[Orientation, ...] = ()
    min_duration_s: float | None = None
    max_duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Some items by root and path."""

    items: tuple[Item, ...]
    next_page_token: str
    """Empty on the last page."""
    total: int
    total_is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCount:
    """Items of one kind in one state."""

    kind: MediaKind
    state: ItemState
    count: int
    with_thumbnail: int
    """How many of them have a thumbnail of their present content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """How much is cached."""

    derivative_count: int
    derivative_bytes: int
    thumbnail_count: int
    thumbnail_bytes: int
    item_count: int
    item_bytes: int
    """Of the items' table with its indexes."""
    items: tuple[ItemCount, ...]


class LibraryStore:
    """The library as readers see it."""

    def __init__(self, lists: AsyncEngine, readers: asyncpg.Pool) -> None:
        self._lists = lists
        self._readers = readers

    async def list_items(self, wanted: ItemFilter, *, page_size: int, page_token: str = "") -> ItemPage:
        """Return a page of the items that pass, by root and path, and how many pass in all.

        Items with much text make it shorter than *page_size*.

        Raises:
            InvalidError: The page token is not one of ours.
        """
        after = _key_of(page_token) if page_token else None
        with repeatable():
            async with self._lists.connect() as connection:
                found = await connection.execute(items_statement(wanted, after, page_size + 1))
                rows = [(str(row[0]), str(row[1]), str(row[2])) for row in found]
                total = int((await connection.execute(count_statement(wanted))).scalar_one())
        found_items = await self.get_items([ItemId(row[0]) for row in rows[:page_size]])
        items = fitting(found_items, _size_bytes)
        more = len(rows) > page_size or len(items) < len(found_items)
        return ItemPage(
            items=tuple(items),
            next_page_token=encode_place(items[-1].facts.root, items[-1].facts.path)
            if more and items
            else "",
            total=min(total, COUNT_MAX),
            total_is_exact=total <= COUNT_MAX,
        )

    async def sample_items(self, count: int) -> list[Item]:
        """Return at most *count* items by chance, from all over the library.

        Items with much text make them fewer.
        """
        with repeatable():
            async with self._readers.acquire() as connection:
                rows = await connection.fetch(statement("sample_items"), count)
        return list(fitting(await self.get_items([ItemId(row["id"]) for row in rows]), _size_bytes))

    async def get_items(self, ids: Sequence[ItemId]) -> list[Item]:
        """Return those that exist, by root and path."""
        if not ids:
            return []
        with repeatable():
            async with self._readers.acquire() as connection:
                rows = await connection.fetch(statement("read_items"), ids)
                derivatives = await connection.fetch(
                    statement("read_derivatives"),
                    [row["id"] for row in rows],
                    [row["identity"] for row in rows],
                )
                tags = await read_tags(connection, [(row["id"], row["identity"]) for row in rows])
        by_item: dict[str, list[Derivative]] = {}
        for row in derivatives:
            by_item.setdefault(row["item_id"], []).append(_derivative(row))
        return [_item(row, by_item.get(row["id"], []), tags.get(row["id"], [])) for row in rows]

    async def get_item(self, item_id: ItemId) -> Item | None:
        """Return the item, or None where there is none."""
        return next(iter(await self.get_items([item_id])), None)

    async def get_item_at(self, root: str, path: str) -> Item | None:
        """Return the item at this root and path, or None where there is none."""
        with repeatable():
            async with self._readers.acquire() as connection:
                item_id: str | None = await connection.fetchval(statement("find_item"), root, path)
        return None if item_id is None else await self.get_item(ItemId(item_id))

    async def cache_stats(self) -> CacheStats:
        """Return how much is cached. Reads both tables whole."""
        with repeatable():
            async with self._readers.acquire() as connection:
                totals = await connection.fetchrow(statement("cache_totals"))
                counts = await connection.fetch(statement("count_items"))
        items = tuple(_count(row) for row in counts)
        sums: dict[str, int] = dict(totals.items()) if totals is not None else {}
        return CacheStats(item_count=sum(count.count for count in items), items=items, **sums)


def items_statement(
    wanted: ItemFilter, after: tuple[str, str] | None, limit: int
) -> sa.Select[Any, Any, Any]:
    """Return id, root and path of *limit* items behind the root and path *after*."""
    columns = LIBRARY_ITEM.c
    conditions = _conditions(wanted)
    if after is not None and after[0] == wanted.root:
        conditions.append(columns.path > after[1])
    elif after is not None:
        conditions.append(sa.tuple_(columns.root, columns.path) > sa.tuple_(*after))
    return (
        sa.select(columns.id, columns.root, columns.path)
        .where(*conditions)
        .order_by(columns.root, columns.path)
        .limit(limit)
    )


def count_statement(wanted: ItemFilter) -> sa.Select[int]:
    """Return how many items pass, one more than ``COUNT_MAX`` at most."""
    some = sa.select(LIBRARY_ITEM.c.id).where(*_conditions(wanted)).limit(COUNT_MAX + 1).subquery()
    return sa.select(sa.func.count()).select_from(some)


def _key_of(page_token: str) -> tuple[str, str]:
    root, path = decode_place(page_token, parts=2)
    return root, path


def _conditions(wanted: ItemFilter) -> list[sa.ColumnElement[bool]]:
    columns = LIBRARY_ITEM.c
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.root:
        conditions.append(columns.root == wanted.root)
    if wanted.folder:
        first, end = below(wanted.folder)
        conditions += [columns.path >= wanted.folder, columns.path < end]
        conditions.append(sa.or_(columns.path == wanted.folder, columns.path >= first))
    if wanted.collection:
        conditions.append(columns.collection == wanted.collection)
    if wanted.kinds:
        conditions.append(columns.kind.in_([int(kind) for kind in wanted.kinds]))
    if wanted.states:
        conditions.append(columns.state.in_([int(state) for state in wanted.states]))
    conditions += [_has_tag(tag) for tag in wanted.tags]
    if wanted.orientations:
        conditions.append(sa.or_(*(_lies(orientation) for orientation in wanted.orientations)))
    if wanted.min_duration_s is not None:
        conditions.append(columns.duration_s >= wanted.min_duration_s)
    if wanted.max_duration_s is not None:
        conditions.append(columns.duration_s <= wanted.max_duration_s)
    if wanted.query:
        pattern = any_case(wanted.query)
        title = columns.extra["title"].as_string()
        conditions.append(sa.or_(columns.path.regexp_match(pattern), title.regexp_match(pattern)))
    return conditions


def _lies(orientation: Orientation) -> sa.ColumnElement[bool]:
    """Return what holds for items whose picture lies so."""
    width, height = LIBRARY_ITEM.c.width, LIBRARY_ITEM.c.height
    match orientation:
        case Orientation.LANDSCAPE:
            return width > height
        case Orientation.PORTRAIT:
            return width < height
        case Orientation.SQUARE:
            return sa.and_(width == height, width > 0)


def _has_tag(tag: str) -> sa.ColumnElement[bool]:
    """Return what holds for items whose present content has a tag."""
    columns = LIBRARY_TAG.c
    return LIBRARY_ITEM.c.id.in_(
        sa.select(columns.item_id).where(
            columns.tag == tag, columns.source_identity == LIBRARY_ITEM.c.identity
        )
    )


def _size_bytes(item: Item) -> int:
    facts = item.facts
    texts = (facts.path, facts.extra, facts.reason, *(made.facts.path for made in item.derivatives))
    return (
        512 * (1 + len(item.derivatives)) + 256 * len(item.tags) + sum(len(text.encode()) for text in texts)
    )


def _item(row: asyncpg.Record, derivatives: Sequence[Derivative], tags: Sequence[ItemTag]) -> Item:
    return Item(
        id=ItemId(row["id"]),
        facts=ItemFacts(
            root=row["root"],
            path=row["path"],
            kind=MediaKind(row["kind"]),
            state=ItemState(row["state"]),
            reason=row["reason"],
            size_bytes=row["size_bytes"],
            mtime_ns=row["mtime_ns"],
            identity=row["identity"],
            width=row["width"],
            height=row["height"],
            duration_s=row["duration_s"],
            format=row["format"],
            video_codec=row["video_codec"],
            audio_codec=row["audio_codec"],
            rotation=row["rotation"],
            frame_rate=row["frame_rate"],
            bitrate_kbps=row["bitrate_kbps"],
            pages=row["pages"],
            extra=row["extra"],
            public=row["public"],
        ),
        derivatives=tuple(derivatives),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        collection=row["collection"],
        viewed_at=row["viewed_at"],
        tags=tuple(tags),
    )


def _derivative(row: asyncpg.Record) -> Derivative:
    return Derivative(
        facts=DerivativeFacts(
            item_id=ItemId(row["item_id"]),
            kind=row["kind"],
            recipe=row["recipe"],
            source_identity=row["source_identity"],
            root=row["root"],
            path=row["path"],
            media_type=row["media_type"],
            width=row["width"],
            height=row["height"],
            size_bytes=row["size_bytes"],
            inline=row["inline"],
        ),
        job_id=row["job_id"],
        created_at=row["created_at"],
    )


def _count(row: asyncpg.Record) -> ItemCount:
    return ItemCount(
        kind=MediaKind(row["kind"]),
        state=ItemState(row["state"]),
        count=row["items"],
        with_thumbnail=row["with_thumbnail"],
    )
