"""Lets it be known which file a scan's workers die of: after an attempt that did not end well it looks at one
file at a time, and names each before.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from callsheet.errors import InvalidError
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.context import JobContext
from callsheet.worker.probing import unread_row
from callsheet.worker.storage.library import OpenedFile
from callsheet_cpu_worker.scan_plan import ROW_LIMIT, UNREAD, is_same

CAREFUL_FILES: Final = 3 * ROW_LIMIT
"""Files that a scan looks at with care where it skips what is known. More than an attempt that died can have
read without a row: two writes, and what its decoders had."""


class Care:
    """The care of one attempt."""

    def __init__(
        self, context: JobContext, root: str, known: Mapping[str, Item], *, public: bool, skips: bool
    ) -> None:
        """Begin.

        Args:
            context: Of the attempt.
            root: What it scans.
            known: The items there, by path.
            public: Whether everybody is shown what it finds.
            skips: Whether it leaves alone what earlier attempts read; else the file may be any.
        """
        self._context = context
        self._root = root
        self._known = known
        self._public = public
        self._alone = asyncio.Lock()
        self._left = 0 if context.lease.attempt == 1 else CAREFUL_FILES if skips else None
        """Files that are still to be looked at with care; None for all."""

    @property
    def needed(self) -> bool:
        """Whether the next file may be one that workers died of."""
        return self._left != 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait until a file may be looked at: with care after all others."""
        if not self.needed:
            yield
            return
        async with self._alone:
            yield

    async def before(self, path: str, file: OpenedFile, identity: str) -> None:
        """Name a file that a decoder is about to read. One that has no row yet gets one that says so.

        Raises:
            LeaseLostError: Another lease holds the job now.
        """
        if self._left is not None:
            self._left -= 1
        item = self._known.get(path)
        if item is None or not is_same(file.size_bytes, file.mtime_ns, item):
            row = unread_row(self._root, path, file, identity, UNREAD)
            row.public = self._public or (item is not None and item.facts.public)
            try:
                (item_id,) = await self._context.library.upsert([row])
            except InvalidError:
                return  # no item can be made of it: the row of what is read is refused as well, and told
            item = Item(id=item_id, facts=row)
        await self._context.library.take_in_hand(item)
