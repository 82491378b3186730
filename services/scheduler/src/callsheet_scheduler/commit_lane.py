"""Group commit: one transaction is under way; what arrives meanwhile rides the next.

What the data forbids is found by halving the batch until the guilty item stands alone; what others were
in the way of is written again in halves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from callsheet.errors import InvalidError
from callsheet.service.clock import SystemClock
from callsheet_scheduler.metrics import COMMIT_BATCH, COMMIT_SECONDS
from callsheet_scheduler.store.errors import (
    ContendedError,
    ExhaustedError,
    OutcomeUnknownError,
    RefusedError,
)

ItemT = TypeVar("ItemT")

#: Jobs in one transaction; a client's own batch may be larger.
BATCH_JOBS_MAX: Final = 500

#: Bytes of text in one transaction; one item may have more.
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024

#: How often one item is written again while others are in the way.
CONTENDED_MAX: Final = 8

#: Seconds before something is written again that was contended, or exhausted the database.
CONTENDED_PAUSE_S: Final = 0.05
EXHAUSTED_PAUSE_S: Final = 1.0


class Ledge(Protocol[ItemT]):
    """What a lane asks of the one it writes for."""

    async def write(self, batch: Sequence[ItemT]) -> None:
        """Write *batch* in one transaction. Raises the errors of ``store.errors``, or InvalidError."""
        ...

    def committed(self, batch: Sequence[ItemT]) -> None:
        """*batch* is durable."""
        ...

    def refused(self, item: ItemT, reason: str) -> ItemT | None:
        """*item* can never be written, and was not. Return what to write in its place, if anything."""
        ...

    def exhausted(self, item: ItemT, reason: str) -> bool:
        """The database takes nothing more; *item* was not written. False to give it up."""
        ...

    def weigh(self, item: ItemT) -> tuple[int, int]:
        """Return the jobs and the bytes of *item*."""
        ...


class CommitLane(Generic[ItemT]):
    """Writes what is added, in order."""

    def __init__(self, ledge: Ledge[ItemT], name: str) -> None:
        """Write for *ledge*; *name* tells the lane from others in metrics."""
        self.name = name
        self._ledge = ledge
        self._clock = SystemClock()
        self._waiting: deque[ItemT] = deque()
        self._wake = asyncio.Event()
        self._added = 0
        self._done = 0
        self._quiet: list[tuple[int, Callable[[], None]]] = []
        self._ended: Exception | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, items: Sequence[ItemT]) -> None:
        """Write *items* soon."""
        self._waiting.extend(items)
        self._added += len(items)
        self._wake.set()

    def when_settled(self, then: Callable[[], None]) -> None:
        """Call *then* as soon as everything that was added so far is settled; never where it is not."""
        if self._done == self._added:
            then()
        else:
            self._quiet.append((self._added, then))

    async def settled(self) -> None:
        """Wait until everything that was added so far is settled.

        Raises:
            Exception: What ``give_up`` was given.
        """
        event = asyncio.Event()
        self.when_settled(event.set)
        await event.wait()
        if self._ended is not None:
            raise self._ended

    def give_up(self, error: Exception) -> None:
        """Let everybody who waits for what was added fail with *error*."""
        self._ended = error
        waiting, self._quiet = self._quiet, []
        for _, then in waiting:
            then()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            OutcomeUnknownError: Whether a batch was written is not known.
            DisagreementError: The tables are not as they ought to be.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                await self._settle(batch)
                self._done += len(batch)
                self._tell_quiet()

    def _take(self) -> list[ItemT]:
        batch: list[ItemT] = []
        jobs = size_bytes = 0
        while self._waiting:
            more_jobs, more_bytes = self._ledge.weigh(self._waiting[0])
            jobs += more_jobs
            size_bytes += more_bytes
            if batch and (jobs > BATCH_JOBS_MAX or size_bytes > BATCH_BYTES_MAX):
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _settle(self, batch: Sequence[ItemT], *, contended: int = 0) -> None:
        again: Callable[[Sequence[ItemT]], Awaitable[None]] = self._settle
        since = self._clock.monotonic()
        try:
            await self._ledge.write(batch)
        except (RefusedError, InvalidError) as error:
            if len(batch) == 1:
                instead = self._ledge.refused(batch[0], str(error))
                if instead is not None:
                    await self._settle([instead])
                return
        except ContendedError as error:
            if contended >= CONTENDED_MAX:
                message = f"a statement was contended {contended} times: {error}"
                raise OutcomeUnknownError(message) from error
            await asyncio.sleep(CONTENDED_PAUSE_S)
            if len(batch) == 1:
                await self._settle(batch, contended=contended + 1)
                return
        except ExhaustedError as error:
            kept = [item for item in batch if self._ledge.exhausted(item, str(error))]
            if kept:
                await asyncio.sleep(EXHAUSTED_PAUSE_S)
                await self._settle(kept)
            return
        else:
            COMMIT_SECONDS.labels(self.name).observe(self._clock.monotonic() - since)
            COMMIT_BATCH.labels(self.name).observe(len(batch))
            self._ledge.committed(batch)
            return
        middle = len(batch) // 2
        await again(batch[:middle])
        await again(batch[middle:])

    def _tell_quiet(self) -> None:
        while self._quiet and self._quiet[0][0] <= self._done:
            self._quiet.pop(0)[1]()
