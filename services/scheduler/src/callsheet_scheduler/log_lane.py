"""Writes log text, and tells those who follow a job that there is something to read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

from typing_extensions import override

from callsheet_scheduler.commit_lane import Ledge
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.store.queue import LogRow

log = logging.getLogger(__name__)


class Followers:
    """Who waits for news of which job."""

    def __init__(self) -> None:
        self._events: dict[JobId, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        return len(self._events)

    @contextmanager
    def follow(self, job_id: JobId) -> Generator[asyncio.Event]:
        """Lend an event that is set when something of the job was written, or the leadership has ended."""
        news = asyncio.Event()
        events = self._events.setdefault(job_id, set())
        events.add(news)
        try:
            yield news
        finally:
            events.remove(news)
            if not events:
                self._events.pop(job_id, None)

    def tell(self, job_id: JobId) -> None:
        """Something of the job was written."""
        for news in self._events.get(job_id, ()):
            news.set()

    def tell_all(self) -> None:
        """The leadership has ended."""
        for job_id in self._events:
            self.tell(job_id)


class LogLedge(Ledge[LogRow]):
    """Log text. What is refused is lost; there is no better place for it."""

    def __init__(self, write: Callable[[Sequence[LogRow]], Awaitable[None]], followers: Followers) -> None:
        self._write = write
        self._followers = followers

    @override
    def weigh(self, item: LogRow) -> tuple[int, int]:
        return 1, len(item.text)

    @override
    async def write(self, batch: Sequence[LogRow]) -> None:
        await self._write(batch)

    @override
    def committed(self, batch: Sequence[LogRow]) -> None:
        for row in batch:
            self._followers.tell(row.job_id)

    @override
    def refused(self, item: LogRow, reason: str) -> None:
        log.warning("log text was refused", extra={"job": item.job_id, "reason": reason})

    @override
    def exhausted(self, item: LogRow, reason: str) -> bool:
        return True
