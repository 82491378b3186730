"""The library as jobs write it and clients read it: checks, then the store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from callsheet.errors import InvalidError, NotFoundError
from callsheet_scheduler.domain.job import ItemInHand, JobId, Token
from callsheet_scheduler.domain.library import (
    BATCH_MAX,
    Item,
    ItemFacts,
    ItemId,
    check_count,
    check_items,
    check_path,
    check_query,
    check_root,
)
from callsheet_scheduler.domain.tags import check_asked
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store.library import note_views, upsert_items_fenced
from callsheet_scheduler.store.library_reads import CacheStats, ItemFilter, ItemPage, LibraryStore

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000


class Library:
    """Media items and what is made from them."""

    def __init__(self, leadership: Leadership, store: LibraryStore) -> None:
        self._leadership = leadership
        self._store = store

    async def upsert(
        self,
        job_id: str,
        token: int,
        items: Sequence[ItemFacts],
        missing_ids: Sequence[ItemId],
        forget_ids: Sequence[ItemId] = (),
        *,
        in_hand: ItemInHand | None = None,
    ) -> list[ItemId]:
        """Write a batch under a job's lease and return the items' ids in order.

        *in_hand* is what the job touches once it has the answer.

        Raises:
            InvalidError: Something cannot be written; names it. Nothing was written.
            LeaseLostError: The lease is no longer the job's newest. Nothing was written.
        UnavailableError: No scheduler leads here, or the outcome is unknown; repeating is safe.
        """
        check_count(len(items), field="items")
        check_count(len(missing_ids), field="missing_ids")
        check_count(len(forget_ids), field="forget_ids")
        check_items(items, field="items")
        term = self._leadership.current()
        now = term.commits.now()
        ids = await upsert_items_fenced(
            term.write_library, job_id, token, items, missing_ids, forget_ids, now=now
        )
        if in_hand is not None:
            term.engine.took_in_hand(JobId(job_id), Token(token), in_hand)
        return ids

    async def list_items(self, wanted: ItemFilter, *, page_size: int, page_token: str) -> ItemPage:
        """Return a page of the items that pass; a page size of 0 means the default.

        Raises:
            InvalidError: The filter or the page cannot be.
        """
        folder = wanted.folder.rstrip("/")
        if wanted.root:
            check_root(wanted.root, field="root")
        if folder or wanted.folder:
            check_path(folder, field="folder")
        check_query(wanted.query, field="query")
        check_asked(wanted.tags, field="tags")
        if not 0 <= page_size <= PAGE_SIZE_MAX:
            raise InvalidError(f"must be from 1 to {PAGE_SIZE_MAX}, not {page_size}", field="page_size")
        return await self._store.list_items(
            replace(wanted, folder=folder),
            page_size=page_size or PAGE_SIZE_DEFAULT,
            page_token=page_token,
        )

    async def get(self, item_id: ItemId) -> Item:
        """Return one item.

        Raises:
            NotFoundError: There is none.
        """
        item = await self._store.get_item(item_id)
        if item is None:
            raise NotFoundError(f"there is no item {item_id}")
        return item

    async def get_at(self, root: str, path: str) -> Item:
        """Return the item at this root and path.

        Raises:
            InvalidError: Root or path cannot be.
            NotFoundError: There is none.
        """
        check_root(root, field="root")
        check_path(path, field="path")
        item = await self._store.get_item_at(root, path)
        if item is None:
            raise NotFoundError(f"there is no item {path!r} in root {root}")
        return item

    async def get_many(self, ids: Sequence[ItemId]) -> list[Item]:
        """Return those that exist, by root and path.

        Raises:
            InvalidError: More than ``BATCH_MAX`` are asked for.
        """
        check_count(len(ids), field="ids", most=BATCH_MAX)
        return await self._store.get_items(ids)

    async def sample(self, count: int) -> list[Item]:
        """Return items by chance; a count of 0 means the default.

        Raises:
            InvalidError: More than ``PAGE_SIZE_MAX`` are asked for.
        """
        if count > PAGE_SIZE_MAX:
            raise InvalidError(f"must be from 1 to {PAGE_SIZE_MAX}, not {count}", field="count")
        return await self._store.sample_items(count or PAGE_SIZE_DEFAULT)

    async def note_views(self, ids: Sequence[ItemId]) -> None:
        """Note that somebody looked at items; those that do not exist are passed over.

        Raises:
            InvalidError: More than ``BATCH_MAX`` are named.
            UnavailableError: It was not written, or that is not known; repeating is safe.
        """
        check_count(len(ids), field="item_ids", most=BATCH_MAX)
        term = self._leadership.current()
        now = term.commits.now()
        await term.write_control(lambda connection: note_views(connection, ids, now=now))

    async def cache_stats(self) -> CacheStats:
        """Return how much is cached."""
        return await self._store.cache_stats()
