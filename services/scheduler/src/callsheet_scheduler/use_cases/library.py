"""What can be asked of the library."""

from collections.abc import Sequence

from callsheet.errors import NotFoundError
from callsheet_scheduler.domain.library import ItemRow, LibraryChanges, check_changes
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store.library import (
    CacheStats,
    ItemFilter,
    LibraryStore,
    StoredItem,
    upsert_items_fenced,
)


class Library:
    """Items, their metadata and derivatives."""

    def __init__(self, leadership: Leadership, store: LibraryStore) -> None:
        self._leadership = leadership
        self._store = store

    async def upsert(
        self,
        lease: tuple[str, int],
        items: Sequence[ItemRow],
        missing_ids: Sequence[str],
    ) -> list[str]:
        """Write a batch in the middle of a job and return the ids in order.

        Raises:
            LeaseLostError: The lease has ended; nothing was written.
        """
        check_changes(LibraryChanges(items=tuple(items)))
        term = self._leadership.current()
        async with term.write_library() as connection:
            return await upsert_items_fenced(connection, lease, items, missing_ids, term.commits.now())

    async def item(self, *, item_id: str, root: str, path: str) -> StoredItem:
        """Return one item, by id or by root and path.

        Raises:
            NotFoundError: There is none.
        """
        if item_id:
            found = await self._store.items([item_id])
            item = found[0] if found else None
        else:
            item = await self._store.item_at(root, path)
        if item is None:
            message = f"there is no item {item_id or f'{root}:{path}'}"
            raise NotFoundError(message)
        return item

    async def items(self, ids: Sequence[str]) -> list[StoredItem]:
        """Return those of *ids* that exist."""
        return await self._store.items(ids)

    async def page(
        self,
        wanted: ItemFilter,
        *,
        size: int,
        after: str,
    ) -> tuple[list[StoredItem], str, int, bool]:
        """Return a page, the token of the next, the total, and whether it is exact."""
        return await self._store.page(wanted, size=size, after=after)

    async def cache_stats(self) -> CacheStats:
        """Return how much is cached."""
        return await self._store.cache_stats()
