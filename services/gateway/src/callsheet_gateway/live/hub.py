"""Hears of every change once, from one watch of the scheduler, and tells it to however many listen."""

import asyncio
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from callsheet.client import Client, Patience
from callsheet.errors import CallsheetError
from callsheet.service.clock import Clock
from callsheet.v1.job_pb2 import Job
from callsheet.within import within
from callsheet_gateway.live import sse
from callsheet_gateway.live.pace import Pace
from callsheet_gateway.live.ring import About, Ring, Wanted
from callsheet_gateway.live.surroundings import Surroundings
from callsheet_gateway.schemas.jobs import status_of, summary

log = logging.getLogger(__name__)

PER_SECOND_MAX: Final = 4
"""Events of one job in any second."""
TICK_S: Final = 0.05
"""How often what is held back is looked at."""
OPEN_WITHIN_S: Final = 2.0
"""How long a new listener waits for the watch to be open; then it is told that the scheduler is away."""
LINGER_S: Final = 30.0
"""How long the watch goes on when nobody listens: a page that comes back then has missed nothing."""
PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0)
"""Before a lost watch is opened again; the last one for every further try."""
STATUSES_KEPT: Final = 10_000
"""Jobs of which the status is known that was told last."""
PIECE_BYTES: Final = 16 * 1024
"""What a listener is sent at once: as much waits for one that takes nothing."""
LOST: Final = "what changed before is not known any more; ask for what is shown again"


class Hub:
    """The events of this gateway.

    It keeps one ring of events; a listener is no more than a place in it. It watches while somebody
    listens, and a little longer.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client.with_patience(Patience(total_s=0.0, try_s=5.0))
        self._clock = clock
        self._ring = _new_ring()
        self._pace: Pace[str, Job] = Pace(PER_SECOND_MAX)
        self._statuses: OrderedDict[str, str] = OrderedDict()
        self._waiting: set[asyncio.Future[None]] = set()
        self._open = asyncio.Event()
        self._is_away = False
        self._listeners = 0
        self._running: asyncio.Task[None] | None = None
        self._resting: asyncio.TimerHandle | None = None

    async def listen(self, last_event_id: str, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """Yield pieces of the stream, without end, beginning after *last_event_id*, or now for none."""
        self._arrive()
        try:
            await self._opened()
            ring = self._ring
            place = ring.place_of(last_event_id) if last_event_id else ring.last
            yield sse.opening(ring.id_of(ring.last if place is None else place))
            if self._is_away and not last_event_id:
                yield _away()
            while True:
                if place is None or not ring.has_all_after(place):
                    place = ring.last
                    yield sse.event(_reason(LOST), name="reset", event_id=ring.id_of(place))
                piece, place = ring.piece(place, wanted, PIECE_BYTES)
                if piece:
                    yield piece
                elif place == ring.last and not await self._more():
                    return
        finally:
            self._leave()

    async def close(self) -> None:
        """Watch no longer."""
        if self._resting is not None:
            self._resting.cancel()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _arrive(self) -> None:
        self._listeners += 1
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="live events")
            self._running.add_done_callback(self._ended)

    def _leave(self) -> None:
        self._listeners -= 1
        if self._listeners == 0:
            self._resting = asyncio.get_running_loop().call_later(LINGER_S, self._rest)

    def _rest(self) -> None:
        """End the watch; what happens from here on is not known, so the ring ends as well."""
        if self._running is not None:
            self._running.cancel()
            self._running = None
        self._ring = _new_ring()
        self._pace = Pace(PER_SECOND_MAX)
        self._statuses.clear()
        self._open.clear()
        self._is_away = False

    async def _opened(self) -> None:
        try:
            async with within(OPEN_WITHIN_S):
                await self._open.wait()
        except TimeoutError:
            self._is_away = True

    async def _more(self) -> bool:
        """Wait for the next events; return whether there may be any."""
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(news)
        try:
            await news
        finally:
            self._waiting.discard(news)
        return self._running is not None and not self._running.done()

    def _ended(self, running: "asyncio.Task[None]") -> None:
        """Let listeners come again, should the watch have ended by a fault."""
        if not running.cancelled() and (fault := running.exception()) is not None:
            log.error("live events ended by a fault", exc_info=fault)
        self._wake()

    def _tell(self, name: str, data: str, about: About | None = None) -> None:
        self._ring.add(name, data, about)

    def _wake(self) -> None:
        for news in self._waiting:
            if not news.done():
                news.set_result(None)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._release())
            group.create_task(self._look())

    async def _watch(self) -> None:
        """Open the watch, and again whenever it is lost: then whoever listens has to look for himself."""
        tries = 0
        while True:
            try:
                async with aclosing(self._client.changes()) as rounds:
                    async for jobs in rounds:
                        if not self._open.is_set():
                            self._begin()
                            tries = 0
                        self._take(jobs)
            except CallsheetError as error:
                self._lose(error)
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    def _begin(self) -> None:
        """The watch is open; what was told before it was lost may be old."""
        if self._is_away or self._ring.last:
            self._tell("reset", _reason("the watch of the scheduler began anew; " + LOST))
            self._wake()
        self._is_away = False
        self._open.set()

    def _lose(self, error: CallsheetError) -> None:
        if self._open.is_set():
            log.info("the watch of the jobs was lost", extra={"reason": error.message})
            self._is_away = True
            self._tell("away", _reason(AWAY))
            self._wake()
        self._open.clear()

    def _take(self, jobs: Iterable[Job]) -> None:
        now = self._clock.monotonic()
        self._tell_jobs([job for job in jobs if self._pace.offer(job.id, job, now)])

    async def _release(self) -> None:
        """Tell what was held back, when its time has come."""
        while True:
            await asyncio.sleep(TICK_S)
            self._tell_jobs(self._pace.released(self._clock.monotonic()))

    async def _look(self) -> None:
        """Tell that something around the jobs changed; what, is asked for by whoever shows it."""
        surroundings = Surroundings(self._client)
        async with aclosing(surroundings.changes()) as changes:
            async for name in changes:
                if self._open.is_set():
                    self._tell(name, "{}")
                    self._wake()

    def _tell_jobs(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            status = status_of(job.state).value
            before = self._statuses.pop(job.id, status)
            self._statuses[job.id] = status
            if len(self._statuses) > STATUSES_KEPT:
                self._statuses.popitem(last=False)
            about = About(
                job_type=job.type,
                collection=job.collection,
                submitted_by=job.submitted_by,
                statuses=frozenset({status, before}),
            )
            self._tell("job", summary(job).model_dump_json(by_alias=True), about)
        if jobs:
            self._wake()


AWAY: Final = "no scheduler that leads can be reached; what is shown may be old until a reset"


def _new_ring() -> Ring:
    return Ring(secrets.token_hex(8))


def _reason(text: str) -> str:
    return json.dumps({"reason": text})


def _away() -> bytes:
    return sse.event(_reason(AWAY), name="away")
