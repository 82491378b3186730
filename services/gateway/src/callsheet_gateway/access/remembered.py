"""Answers of the scheduler about one thing each, remembered for seconds."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from callsheet.errors import UnavailableError
from callsheet.service.clock import Clock
from callsheet.within import within

KEPT_MAX: Final = 10_000
"""Answers that are remembered."""
AGAIN_S: Final = 1.0
"""How long a newer answer is waited for before the one that is remembered counts."""

NameT = TypeVar("NameT")
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known(Generic[AnswerT]):
    answer: AnswerT
    at: float
    """When it was asked for."""


class Remembered(Generic[NameT, AnswerT]):
    """Asks for each name once, however many requests need the answer."""

    def __init__(
        self, ask: Callable[[NameT], Awaitable[AnswerT]], clock: Clock, *, fresh_s: float, stale_s: float
    ) -> None:
        """Prepare to ask.

        Args:
            ask: Asks the scheduler.
            clock: For the age of answers.
            fresh_s: How long an answer counts.
            stale_s: How long it counts while the scheduler does not answer.
        """
        self._ask = ask
        self._clock = clock
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._known: OrderedDict[NameT, _Known[AnswerT]] = OrderedDict()
        self._asking: dict[NameT, asyncio.Task[AnswerT]] = {}

    def __contains__(self, name: NameT) -> bool:
        """Whether anything was ever said about a name that is remembered."""
        return name in self._known

    async def answer(self, name: NameT) -> AnswerT:
        """Return what the scheduler says, or said lately.

        Raises:
            UnavailableError: It does not answer, and has said nothing lately.
        """
        known = self._known.get(name)
        age_s = 0.0 if known is None else self._clock.monotonic() - known.at
        if known is not None and age_s < self._fresh_s:
            return known.answer
        try:
            async with within(None if known is None else AGAIN_S):
                return await asyncio.shield(self._asked(name))
        except (UnavailableError, TimeoutError) as error:
            if known is not None and age_s < self._stale_s:
                return known.answer
            raise UnavailableError("no scheduler leads that could be asked; repeat the request") from error

    def forget(self, is_meant: Callable[[AnswerT], bool]) -> None:
        """Ask again about the names that have an answer like this."""
        for name in [name for name, known in self._known.items() if is_meant(known.answer)]:
            del self._known[name]

    async def close(self) -> None:
        """Wait for no answer any more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def note(self, name: NameT, answer: AnswerT, *, at: float) -> None:
        """Remember an answer that was asked for at an instant."""
        self._known[name] = _Known(answer=answer, at=at)
        self._known.move_to_end(name)
        if len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)

    def _asked(self, name: NameT) -> "asyncio.Task[AnswerT]":
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._learn(name))
            asking.add_done_callback(lambda done: self._answered(name, done))
        return asking

    def _answered(self, name: NameT, done: "asyncio.Task[AnswerT]") -> None:
        del self._asking[name]
        if not done.cancelled():
            done.exception()  # seen, should nobody wait any more

    async def _learn(self, name: NameT) -> AnswerT:
        since = self._clock.monotonic()
        answer = await self._ask(name)
        self.note(name, answer, at=since)
        return answer
