"""Tells watchers which jobs changed, each at most once per round."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Final

from callsheet.errors import CallsheetError, OverloadedError, UnavailableError
from callsheet.within import within
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.leadership import Leadership

#: Seconds between two rounds: what changes meanwhile is told once.
ROUND_S: Final = 0.1

#: Changed jobs that may wait for one slow reader.
BACKLOG_MAX: Final = 10_000

#: Readers at once.
WATCHES_MAX: Final = 2000


class Watch:
    """One reader's changes."""

    def __init__(self, ids: frozenset[JobId], parent_id: JobId | None) -> None:
        self._ids = ids
        self._parent_id = parent_id
        self._changed: set[JobId] = set()
        self._wake = asyncio.Event()
        self._end: CallsheetError | None = None

    @property
    def waiting(self) -> int:
        """How many changed jobs wait for the reader."""
        return len(self._changed)

    def add(self, changed: Mapping[JobId, JobId | None]) -> None:
        """Note changed jobs, each with its parent; a reader too far behind is told so once."""
        mine = changed.keys() & self._ids if self._ids else set(changed)
        if self._parent_id is not None:
            mine = {job_id for job_id in mine if changed[job_id] == self._parent_id}
        if not mine or self._end is not None:
            return
        self._changed |= mine
        self._wake.set()
        if len(self._changed) > BACKLOG_MAX:
            self._changed = set()
            self.end(OverloadedError("the reader is too far behind; watch again"))

    def end(self, error: CallsheetError) -> None:
        """Let ``rounds`` raise *error*."""
        self._end = self._end or error
        self._wake.set()

    async def rounds(self) -> AsyncIterator[list[JobId]]:
        """Yield the changed jobs, round by round.

        Raises:
            OverloadedError: The reader is too far behind.
            UnavailableError: The leadership has ended that the changes were of.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._end is not None:
                raise self._end
            changed, self._changed = sorted(self._changed), set()
            yield changed


class Watching:
    """Passes changes from the engine to every watch."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._watches: set[Watch] = set()

    async def run(self) -> None:
        """Pass on changes until cancelled; every watch ends with the leadership that it began under."""
        while True:
            term = await self._leadership.leading()
            while not term.commits.lost.is_set():
                self._tell(term.engine)
                with suppress(TimeoutError):
                    async with within(ROUND_S):
                        await term.commits.lost.wait()
            for watch in self._watches:
                watch.end(UnavailableError("this leadership has ended; watch again"))
            await asyncio.sleep(ROUND_S)

    def _tell(self, engine: Engine) -> None:
        engine.watched = bool(self._watches)
        if engine.changed:
            changed, engine.changed = engine.changed, {}
            for watch in self._watches:
                watch.add(changed)

    def open(self, ids: frozenset[JobId], parent_id: JobId | None = None) -> Watch:
        """Begin to watch *ids*, or every job for none; only what *parent_id* caused where it is given.

        Raises:
            OverloadedError: Too many watch already.
            UnavailableError: This process does not lead.
        """
        if len(self._watches) >= WATCHES_MAX:
            raise OverloadedError(f"{WATCHES_MAX} readers watch already; come back later", retry_after_s=5.0)
        engine = self._leadership.current().engine
        watch = Watch(ids, parent_id)
        self._watches.add(watch)
        engine.watched = True
        return watch

    def close(self, watch: Watch) -> None:
        """End a watch."""
        self._watches.discard(watch)
