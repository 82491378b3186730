"""Tells the scheduler which items were looked at: not each time, but now and then, many at once."""

import asyncio
import logging
from typing import Final

from callsheet.client import Client
from callsheet.errors import CallsheetError

log = logging.getLogger(__name__)

TOLD_AT_ONCE: Final = 1_000
KEPT_MAX: Final = 10_000
"""Items that wait to be told of; further ones are forgotten. A view is a hint, nobody misses it."""


class Views:
    """Items that were looked at since they were told of."""

    def __init__(self, client: Client, *, every_s: float) -> None:
        self._client = client
        self._every_s = every_s
        self._seen: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def note(self, item_id: str) -> None:
        """Note that an item is looked at."""
        if len(self._seen) < KEPT_MAX:
            self._seen[item_id] = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Forget what was not told yet."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        while self._seen:
            await asyncio.sleep(self._every_s)
            ids = list(self._seen)[:TOLD_AT_ONCE]
            for item_id in ids:
                del self._seen[item_id]
            try:
                await self._client.note_views(ids)
            except CallsheetError as error:
                log.info("views were not noted", extra={"reason": error.message, "items": len(ids)})
