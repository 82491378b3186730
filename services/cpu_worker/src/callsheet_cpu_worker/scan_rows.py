"""Writes what a scan finds into the library, many rows at once; a row that is refused stops no other."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from callsheet.errors import InvalidError
from callsheet.v1.library_service_pb2 import Item, ItemFacts
from callsheet.worker.context import JobContext
from callsheet_cpu_worker.picture_jobs import PictureJobs
from callsheet_cpu_worker.scan_plan import is_changed, needs_pictures, one_write
from callsheet_cpu_worker.scan_tally import Tally

FLUSH_INTERVAL_S: Final = 1.0
"""How long a row may wait to be written."""
_REFUSED: Final = re.compile(r"items\[(\d+)\]")


@dataclass(slots=True)
class Rows:
    """The rows of one scan on their way into the library, and then to their pictures."""

    context: JobContext
    known: Mapping[str, Item]
    tally: Tally
    pictures: PictureJobs
    pending: list[ItemFacts] = field(default_factory=list[ItemFacts])
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write_until(self, ended: asyncio.Event) -> None:
        """Write every `FLUSH_INTERVAL_S`, and once more when nothing can come any more."""
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), FLUSH_INTERVAL_S)
            await self.write()

    async def write(self) -> None:
        """Write what is pending, and have pictures made of it."""
        async with self._writing:
            while self.pending:
                count = one_write(self.pending)
                batch, self.pending = self.pending[:count], self.pending[count:]
                for item_id, row in (await self._written(batch)).items():
                    known = self.known.get(row.path)
                    if needs_pictures(row, known):
                        self.pictures.want(item_id, changed=known is not None and is_changed(row, known))
                await self.pictures.submit()

    async def _written(self, batch: list[ItemFacts]) -> dict[str, ItemFacts]:
        """Return the rows that were written by the ids of their items."""
        while batch:
            try:
                return dict(zip(await self.context.library.upsert(batch), batch, strict=True))
            except InvalidError as error:
                refused = _REFUSED.search(error.field)
                place = int(refused[1]) if refused else len(batch)
                if place >= len(batch):
                    raise
                row = batch.pop(place)
                self.tally.refuse(row, self.known.get(row.path), error.message)
        return {}
