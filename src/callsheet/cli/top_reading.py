"""Reads for ``callsheet top`` what a scheduler has before it, without ever asking for much of its time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from callsheet.cli.choices import CategoryChoice
from callsheet.cli.instants import instant
from callsheet.client import Client
from callsheet.service.clock import Clock
from callsheet.v1.fleet_service_pb2 import DeviceAccount, Queue, Worker
from callsheet.v1.job_pb2 import Job, JobState, ResourceCategory
from callsheet.v1.job_service_pb2 import GetStatsResponse, ListJobsRequest

#: Seconds between two askings of the same thing, and of lists that the database has to look at.
INTERVAL_S: Final = 0.5
LIST_INTERVAL_S: Final = 1.0

#: After an answer that took long nothing is asked for so many times as long.
REST: Final = 9.0

#: Seconds over which rates are taken.
RATE_WINDOW_S: Final = 15.0

#: Jobs of one list.
LISTED: Final = 50
RUNNING_MAX: Final = 200

CATEGORIES: Final[Mapping[str, ResourceCategory.ValueType]] = {
    choice.value: choice.value_on_wire for choice in CategoryChoice
}
"""Every category by its name, in order."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What is known; empty before the first answers."""

    queues: Mapping[str, Queue] = field(default_factory=dict[str, Queue])
    """By scope."""
    workers: Sequence[Worker] = ()
    devices: Sequence[DeviceAccount] = ()
    running: Sequence[Job] = ()
    newest: Sequence[Job] = ()
    failed: Sequence[Job] = ()
    oldest: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Since when the oldest job of each category waits that has one."""
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    """Jobs of each category that completed in a second."""
    completed_last_hour: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Question:
    """Something that is asked again and again."""

    ask: Callable[[], Awaitable[None]]
    interval_s: float
    due_at: float = float("-inf")


class Reader:
    """Asks by turns, each question at its own pace, and slower where answers take long."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.seen = Seen()
        self._client = client
        self._clock = clock
        self._completed: deque[tuple[float, dict[str, int]]] = deque()
        self._questions = [
            _Question(ask=self._queues, interval_s=INTERVAL_S),
            _Question(ask=self._workers, interval_s=INTERVAL_S),
            _Question(ask=self._devices, interval_s=INTERVAL_S),
            _Question(ask=self._running, interval_s=INTERVAL_S),
            _Question(ask=self._stats, interval_s=LIST_INTERVAL_S),
            _Question(ask=self._newest, interval_s=LIST_INTERVAL_S),
            _Question(ask=self._failed, interval_s=LIST_INTERVAL_S),
            _Question(ask=self._oldest, interval_s=LIST_INTERVAL_S),
        ]

    async def read(self) -> None:
        """Ask what is due.

        Raises:
            UnavailableError: No scheduler answers; what is known stays as it is.
        """
        for question in self._questions:
            begun_at = self._clock.monotonic()
            if begun_at >= question.due_at:
                await question.ask()
                now = self._clock.monotonic()
                question.due_at = max(begun_at + question.interval_s, now + REST * (now - begun_at))

    async def wait(self) -> None:
        """Wait until something is due."""
        due_at = min(question.due_at for question in self._questions)
        await asyncio.sleep(max(0.05, due_at - self._clock.monotonic()))

    async def _queues(self) -> None:
        self.seen.queues = {queue.scope: queue for queue in await self._client.queues()}

    async def _workers(self) -> None:
        self.seen.workers = (await self._client.fleet()).workers

    async def _devices(self) -> None:
        self.seen.devices = await self._client.devices()

    async def _running(self) -> None:
        states = (JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING)
        self.seen.running = await self._list(ListJobsRequest(states=states, page_size=RUNNING_MAX))

    async def _newest(self) -> None:
        self.seen.newest = await self._list(ListJobsRequest(page_size=LISTED))

    async def _failed(self) -> None:
        states = (JobState.JOB_STATE_FAILED,)
        self.seen.failed = await self._list(ListJobsRequest(states=states, page_size=LISTED))

    async def _oldest(self) -> None:
        oldest: dict[str, datetime] = {}
        for name, category in CATEGORIES.items():
            queue = self.seen.queues.get(name)
            if queue is not None and queue.pending:
                wanted = ListJobsRequest(
                    states=(JobState.JOB_STATE_PENDING,),
                    categories=(category,),
                    page_size=1,
                    oldest_first=True,
                )
                for job in await self._list(wanted):
                    created_at = instant(job.created_at)
                    if created_at is not None:
                        oldest[name] = created_at
        self.seen.oldest = oldest

    async def _list(self, wanted: ListJobsRequest) -> Sequence[Job]:
        return (await self._client.jobs_page(wanted)).jobs

    async def _stats(self) -> None:
        stats = await self._client.stats()
        self.seen.completed_last_hour = stats.completed_last_hour
        self.seen.rates = self._rates(stats)

    def _rates(self, stats: GetStatsResponse) -> dict[str, float]:
        """Return how many jobs completed in a second, over the window."""
        now = self._clock.monotonic()
        completed = dict.fromkeys(CATEGORIES, 0)
        for count in stats.states:
            if count.state == JobState.JOB_STATE_COMPLETED:
                for name, category in CATEGORIES.items():
                    completed[name] += count.count if count.category == category else 0
        self._completed.append((now, completed))
        while now - self._completed[0][0] > RATE_WINDOW_S:
            self._completed.popleft()
        began_at, before = self._completed[0]
        passed_s = now - began_at
        return {
            name: max(0.0, (jobs - before[name]) / passed_s) if passed_s > 0 else 0.0
            for name, jobs in completed.items()
        }
