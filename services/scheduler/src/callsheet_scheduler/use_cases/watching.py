"""Tells watchers which jobs changed, each at most once per round."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from callsheet.errors import OverloadedError
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.leadership import Leadership

#: Seconds between two rounds: what changes meanwhile is told once.
ROUND_S: Final = 0.1

#: Changed jobs that may wait for one slow reader.
BACKLOG_MAX: Final = 10_000


class Watch:
    """One reader's changes."""

    def __init__(self, ids: frozenset[JobId], parent_id: JobId | None) -> None:
        self._ids = ids
        self._parent_id = parent_id
        self._changed: set[JobId] = set()
        self._wake = asyncio.Event()
        self._overrun = False

    def add(self, changed: Mapping[JobId, JobId | None]) -> None:
        """Note changed jobs, each with its parent; a reader too far behind is told so once."""
        mine = changed.keys() & self._ids if self._ids else set(changed)
        if self._parent_id is not None:
            mine = {job_id for job_id in mine if changed[job_id] == self._parent_id}
        if not mine:
            return
        self._changed |= mine
        self._overrun = self._overrun or len(self._changed) > BACKLOG_MAX
        self._wake.set()

    async def rounds(self) -> AsyncIterator[list[JobId]]:
        """Yield the changed jobs, round by round.

        Raises:
            OverloadedError: The reader is too far behind.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._overrun:
                message = "the reader is too far behind; watch again"
                raise OverloadedError(message)
            changed, self._changed = sorted(self._changed), set()
            yield changed


class Watching:
    """Passes changes from the engine to every watch."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._watches: set[Watch] = set()

    async def run(self) -> None:
        """Pass on changes until cancelled."""
        while True:
            term = await self._leadership.leading()
            engine = term.engine
            engine.watched = bool(self._watches)
            if engine.changed:
                changed, engine.changed = engine.changed, {}
                for watch in self._watches:
                    watch.add(changed)
            await asyncio.sleep(ROUND_S)

    def open(self, ids: frozenset[JobId], parent_id: JobId | None = None) -> Watch:
        """Begin to watch *ids*, or every job for none; only what *parent_id* caused where it is given."""
        watch = Watch(ids, parent_id)
        self._watches.add(watch)
        self._leadership.current().engine.watched = True
        return watch

    def close(self, watch: Watch) -> None:
        """End a watch."""
        self._watches.discard(watch)
