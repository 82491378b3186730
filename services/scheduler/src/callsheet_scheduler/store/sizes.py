"""Reads how large items are."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from uuid import UUID

from callsheet_scheduler.domain.footprint import media_size, size_class
from callsheet_scheduler.store.connection import Pool
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement

ItemKey = str | tuple[str, str]
"""An item by its id, or by its root and path."""

ReadSizes = Callable[[Collection[ItemKey]], Awaitable[Mapping[ItemKey, int]]]


async def read_sizes(readers: Pool, keys: Collection[ItemKey]) -> dict[ItemKey, int]:
    """Return the size classes of those items that there are.

    Raises:
        UnavailableError: The database is away.
    """
    plain = {key: _plain(key) if isinstance(key, str) else key for key in keys}
    places = [key for key in keys if not isinstance(key, str)]
    with repeatable():
        rows = await readers.fetch(
            statement("read_sizes"),
            [key for key in set(plain.values()) if key and isinstance(key, str)],
            [root for root, _ in places],
            [path for _, path in places],
        )
    found: dict[ItemKey, int] = {}
    for row in rows:
        size = size_class(media_size(row["duration_s"] or 0.0, row["width"], row["height"]))
        found[row["id"]] = found[row["root"], row["path"]] = size
    return {key: found[kept] for key, kept in plain.items() if kept in found}


def _plain(text: str) -> str:
    """Return an id as the tables have it; nothing for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""
