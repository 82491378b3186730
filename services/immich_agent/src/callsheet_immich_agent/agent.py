"""Steers one Immich server: looks, decides, asks, remembers, and opens everything at the end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from callsheet.errors import (
    CallsheetError,
    DeniedError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)
from callsheet.service.clock import Clock
from callsheet.within import within
from callsheet_immich_agent.client import Server
from callsheet_immich_agent.leases import ONLY, Stay
from callsheet_immich_agent.metrics import Figures
from callsheet_immich_agent.policy import (
    Action,
    Command,
    Decision,
    Leases,
    Memory,
    QueueSeen,
    Rules,
    decide,
    observe,
    restore,
)
from callsheet_immich_agent.remembered import Remembered

log = logging.getLogger(__name__)

WAIT_S_MAX: Final = 300.0
"""The longest wait before the next look, however often looks have failed."""
AGAIN_S: Final = 0.5
"""How long to wait before the server is asked again to open queues at the end."""
READY_INTERVALS: Final = 3.0
"""The agent is ready while its newest good look is no older than so many intervals and a deadline."""

_OF_ONE_QUEUE: Final = (NotFoundError, StateError)
"""Errors that say nothing about other queues."""
_NOT_DONE: Final = (*_OF_ONE_QUEUE, OverloadedError, UnauthenticatedError, DeniedError)
"""Errors after which it is certain that nothing was done."""


def wait_s(interval_s: float, failures: int, chance: float, error: CallsheetError | None = None) -> float:
    """Return how long to wait for the next look after so many *failures* in a row; *chance* is 0 to 1."""
    if not failures:
        return interval_s
    longest_s = max(WAIT_S_MAX, interval_s)
    waits_s = min(longest_s, interval_s * 2.0 ** min(failures - 1, 16)) * (0.5 + chance / 2)
    return max(waits_s, error.retry_after_s) if isinstance(error, OverloadedError) else waits_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """As what an agent acts."""

    name: str = ONLY
    """The server's."""
    dry_run: bool = False
    """Say what would be asked, and ask for nothing."""
    leases: bool = False
    """Whether queues would run by leases, in a dry run."""
    stay: Stay | None = None
    """What gives the leases by which queues run."""


ALONE: Final = Manner()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What an agent knows of its server."""

    version: str
    queues: tuple[QueueSeen, ...] = ()
    """As the newest look that succeeded found them."""
    memory: Memory
    reached_at: datetime | None
    error: str = ""
    """Why the newest look failed."""


class Agent:
    """One server and what is remembered of it."""

    def __init__(
        self,
        server: Server,
        rules: Rules,
        remembered: Remembered,
        *,
        clock: Clock,
        chance: Callable[[], float],
        deadline_s: float,
        manner: Manner = ALONE,
    ) -> None:
        """Go on from what is remembered; nothing is asked yet. A look may take *deadline_s*."""
        self._server = server
        self._figures = Figures(manner.name)
        self.rules = rules
        self._remembered = remembered
        self._clock = clock
        self._chance = chance
        self._deadline_s = deadline_s
        self._dry_run = manner.dry_run
        self._stay = manner.stay
        self._no_leases = Leases() if manner.leases else None
        self._memory = Memory(holds=remembered.load())
        self._seen: list[QueueSeen] = []
        self._reached_at: float | None = None
        self._seen_at: datetime | None = None
        self._error = ""
        self._failures = 0
        self._said = ""
        self._refused: dict[str, str] = {}
        self.stands_by = manner.stay is not None
        """Ask nothing of the server and remember nothing: the scheduler has not said that it is ours."""

    async def ready(self) -> bool:
        """Say whether the server was reached lately, with a key that may do what is needed.

        With a stay the scheduler has to be there as well: no further queue would start.
        """
        if self.stands_by or (self._stay is not None and not self._stay.session.connected):
            return False
        fresh_s = READY_INTERVALS * self.rules.interval_s + self._deadline_s
        return self._reached_at is not None and self._clock.monotonic() - self._reached_at <= fresh_s

    @property
    def identity(self) -> str:
        """What tells this controller from others of the same server; a restart keeps it."""
        return self._remembered.identity

    @property
    def sight(self) -> Sight:
        """What is known of the server."""
        return Sight(
            version=self._server.version,
            queues=tuple(self._seen),
            memory=self._memory,
            reached_at=self._seen_at,
            error=self._error,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Look and act until *stop* is set, then wait for no answer. Faults of the server are waited out."""
        looking = asyncio.create_task(self._keep_looking())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except CallsheetError as error:
                self._fail(error)
                waits_s = wait_s(self.rules.interval_s, self._failures, self._chance(), error)
            else:
                self._succeed()
                waits_s = self.rules.interval_s
            await self._rest(waits_s)

    async def _rest(self, waits_s: float) -> None:
        """Wait for the next look; a lease that comes or is recalled does not."""
        if self._stay is None:
            await asyncio.sleep(waits_s)
            return
        with suppress(TimeoutError):
            async with within(waits_s):
                await self._stay.changed.wait()
        self._stay.changed.clear()

    async def look(self) -> None:
        """Look at the queues once and do what the policy wants.

        Raises:
            CallsheetError: The server could not be asked, or would not do what it was asked.
        """
        seen = await self._server.queues()
        self._seen, self._seen_at = seen, self._clock.now()
        stay = self._stay
        if self.stands_by:
            self._figures.show(seen, ())
            return
        decision = decide(seen, self._memory, self.rules, stay.leases if stay else self._no_leases)
        self._figures.show(seen, decision.memory.stalled)
        self._refused = {queue.name: self._refused.get(queue.name, "") for queue in seen}
        if self._dry_run:
            self._would(seen, decision)
            return
        self._remember(decision.memory)
        if stay is not None:
            stay.end(decision.done)
        await self._act(decision.actions)
        if stay is not None:
            await stay.ask(decision.asks)

    async def stand_by(self) -> None:
        """Leave the server to another controller: what is paused is that one's to open, and so are leases."""
        self.stands_by = True
        self._remember(Memory())
        if self._stay is not None:
            self._stay.end(self._stay.leases.bound)
            await self._stay.ask(())

    async def restore(self, within_s: float) -> frozenset[str]:
        """Open every queue that we keep paused, and return those of which that is not certain.

        A server that does not do it at once is asked again for as long as there is time.
        """
        if self._dry_run or self.stands_by:
            return self._memory.ours if self.stands_by else frozenset()
        with suppress(TimeoutError):
            async with within(within_s):
                while not await self._opened():  # noqa: ASYNC110 -- another machine sets no event of ours
                    await asyncio.sleep(AGAIN_S)
        left = self._memory.ours
        try:
            self._remember(Memory(holds=self._memory.holds) if left else Memory())
        except UnavailableError as error:
            log.warning("%s; the next start looks at what is open first", error.message)
        return left

    async def _opened(self) -> bool:
        """Look, open what is ours, and return whether there is no use in asking again.

        Only after a look does an answer that there is no such queue say that it is gone.
        """
        try:
            self._memory = self._there(await self._server.queues())
            for action in restore(self._memory, self.rules):
                await self._try_to_resume(action)
        except CallsheetError as error:
            self._fail(error)
            return isinstance(error, DeniedError | UnauthenticatedError)
        return not self._memory.ours

    def _there(self, seen: list[QueueSeen]) -> Memory:
        """Return what is remembered of queues that the server has; the others need no opening."""
        known = observe(seen, self._memory, self.rules)
        names = {queue.name for queue in seen}
        return replace(known, holds={name: hold for name, hold in known.holds.items() if name in names})

    async def _act(self, actions: tuple[Action, ...]) -> None:
        """Ask for *actions*; a pause that does not succeed takes the last resume with it.

        What concerns the whole server, such as silence, ends it: the next look shows what was done. What
        concerns one queue is only told.
        """
        waiting = list(actions)
        failed: CallsheetError | None = None
        while waiting and not self.stands_by:
            action = waiting.pop(0)
            error = await self._ask(action)
            if error is None:
                continue
            if not isinstance(error, _OF_ONE_QUEUE):
                failed = error
                break
            self._complain(action.queue, error)
            if action.command is Command.PAUSE and waiting and waiting[-1].command is Command.RESUME:
                waiting.pop()
        self._remember(self._memory)
        if failed is not None:
            raise failed

    async def _ask(self, action: Action) -> CallsheetError | None:
        """Ask for one action, keep in mind what came of it, and return what went wrong."""
        pause, name = action.command is Command.PAUSE, action.queue
        try:
            await self._server.apply(action)
        except asyncio.CancelledError:
            if pause:
                self._memory = self._memory.doubting(name)
            raise
        except CallsheetError as error:
            refused = isinstance(error, _NOT_DONE)
            if pause:
                self._memory = self._memory.refused(name) if refused else self._memory.doubting(name)
            self._figures.acted(action.command, "refused" if refused else "unknown")
            return error
        self._memory = self._memory.paused(name) if pause else self._memory.resumed(name)
        self._figures.acted(action.command, "done")
        log.info("%s %s", "paused" if pause else "resumed", name)
        return None

    async def _try_to_resume(self, action: Action) -> None:
        error = await self._ask(action)
        if isinstance(error, NotFoundError):
            self._memory = self._memory.resumed(action.queue)
        elif isinstance(error, StateError):
            self._complain(action.queue, error)
        elif error is not None:
            raise error

    def _remember(self, memory: Memory) -> None:
        """Keep *memory*, on disk before anything is asked of the server."""
        if dict(memory.holds) != self._remembered.load():
            self._remembered.keep(memory.holds)
        self._memory = memory

    def _complain(self, queue: str, error: CallsheetError) -> None:
        """Tell what is wrong with one queue, once."""
        again = self._refused.get(queue) == error.message
        log.log(logging.DEBUG if again else logging.WARNING, "%s", error.message)
        self._refused[queue] = error.message

    def _would(self, seen: list[QueueSeen], decision: Decision) -> None:
        """Say what a run that is not dry would ask for, once."""
        self._memory = observe(seen, self._memory, self.rules)
        asked = [f"{action.command} {action.queue}" for action in decision.actions]
        wanted = ", ".join([*asked, *(f"a lease for {name}" for name in decision.asks)])
        if wanted != self._said:
            log.info("would ask for: %s", wanted or "nothing")
        self._said = wanted

    def _succeed(self) -> None:
        if self._reached_at is None or self._failures:
            log.info("Immich %s is reached, by its API of %s", self._server.version, self._server.generation)
        self._reached_at = self._clock.monotonic()
        self._failures = 0
        if not self._dry_run:
            self._said = ""
        self._error = ""
        self._figures.reached(well=True)

    def _fail(self, error: CallsheetError) -> None:
        self._failures += 1
        self._error = error.message
        self._figures.failed()
        again = error.message == self._said
        log.log(logging.DEBUG if again else logging.ERROR, "%s", error.message)
        self._said = error.message
