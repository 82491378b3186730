"""Repeats calls that got no answer, with growing pauses, until patience ends."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import grpc

from callsheet.errors import CallsheetError, StateError, UnavailableError
from callsheet.service.clock import Clock, SystemClock
from callsheet.wire_errors import from_rpc_error
from callsheet.within import within

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

#: A stream that lived this long was well; what ends it then is a new loss, with patience of its own.
WELL_AFTER_S: Final = 5.0

_CHANCE: Final = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a call is repeated that got no answer."""

    total_s: float = 30.0
    """From the first try to the last; 0 tries once."""
    try_s: float = 10.0
    """The deadline of one try."""
    pause_s: float = 0.1
    """The longest pause before the first repetition; it doubles with each."""
    pause_max_s: float = 2.0
    """Where the doubling ends."""

    def pause_before(self, repetition: int, chance: float) -> float:
        """Return the seconds before repetition 0, 1, …: from half of the longest pause up to all of it.

        Args:
            repetition: Counted from 0.
            chance: 0 to 1; spreads clients that lost the same scheduler.
        """
        longest_s = min(self.pause_max_s, self.pause_s * 2.0 ** min(repetition, 32))
        return longest_s * (0.5 + chance / 2)


@dataclass(slots=True, kw_only=True)
class _Tries:
    """The repetitions of one call."""

    patience: Patience
    clock: Clock
    since: float
    repeated: int = 0

    async def pause(self, cause: CallsheetError) -> None:
        """Wait before the next try.

        Raises:
            CallsheetError: It is *cause*: patience has ended.
        """
        left_s = self.since + self.patience.total_s - self.clock.monotonic()
        if left_s <= 0:
            raise cause
        await asyncio.sleep(min(left_s, self.patience.pause_before(self.repeated, _CHANCE.random())))
        self.repeated += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeating:
    """Makes calls, and makes them again."""

    target: str
    """Named in errors."""
    patience: Patience = field(default_factory=Patience)
    clock: Clock = field(default_factory=SystemClock)

    async def call(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT]",
        request: RequestT,
        *,
        when_repeated: Callable[[], Awaitable[ResponseT | None]] | None = None,
        after_repetition: Callable[[ResponseT], Awaitable[ResponseT]] | None = None,
    ) -> ResponseT:
        """Return the answer to *request*.

        Both callbacks are for repetitions only: an earlier try may have taken effect and its answer been
        lost. *when_repeated* is asked when one is refused for the present state; what it returns is the
        answer then, unless None. *after_repetition* is given the answer to one, and returns what to answer.

        Raises:
            CallsheetError: The scheduler refused; `UnavailableError` when patience has ended.
        """
        tries = self._tries()
        while True:
            try:
                answer = await method(request, timeout=self.patience.try_s)
                if tries.repeated and after_repetition is not None:
                    answer = await after_repetition(answer)
                return answer
            except grpc.aio.AioRpcError as error:
                cause = self._cause(error)
            if isinstance(cause, UnavailableError):
                await tries.pause(cause)
                continue
            if tries.repeated and when_repeated is not None and isinstance(cause, StateError):
                known = await when_repeated()
                if known is not None:
                    return known
            raise cause

    async def stream(
        self,
        method: "grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT]",
        next_request: Callable[[], RequestT],
        *,
        again_on: tuple[type[CallsheetError], ...] = (UnavailableError,),
        quiet_s: float | None = None,
    ) -> AsyncGenerator[ResponseT, None]:
        """Yield answers until the scheduler ends the stream, over as many openings as it takes.

        Args:
            method: The call.
            next_request: Called before each opening.
            again_on: The errors after which the stream is opened again.
            quiet_s: So much silence also has it opened again.

        Raises:
            CallsheetError: The scheduler refused, or patience has ended.
        """
        tries = self._tries()
        while True:
            opened_at = self.clock.monotonic()
            call = method(next_request())
            messages = aiter(call)
            try:
                while True:
                    async with within(quiet_s):
                        message = await anext(messages)
                    yield message
            except StopAsyncIteration:
                return
            except TimeoutError:
                continue
            except grpc.aio.AioRpcError as error:
                cause = self._cause(error)
            finally:
                call.cancel()
            if not isinstance(cause, again_on):
                raise cause
            if self.clock.monotonic() - opened_at >= WELL_AFTER_S:
                tries = self._tries()
            await tries.pause(cause)

    async def opened(self, call: "grpc.aio.UnaryStreamCall[RequestT, ResponseT]") -> None:
        """Wait until a stream is open.

        Raises:
            CallsheetError: The scheduler refused; `UnavailableError` when it does not answer in the time of
                one try.
        """
        try:
            async with within(self.patience.try_s):
                await call.initial_metadata()
                if call.done():
                    await call.read()
        except TimeoutError:
            raise UnavailableError(f"no answer from the scheduler at {self.target}") from None
        except grpc.aio.AioRpcError as error:
            raise self._cause(error) from error

    async def answers(
        self, call: "grpc.aio.UnaryStreamCall[RequestT, ResponseT]"
    ) -> AsyncGenerator[ResponseT, None]:
        """Yield the answers of a stream that is not opened again.

        Raises:
            CallsheetError: The scheduler refused; `UnavailableError` also when the stream ends.
        """
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise self._cause(error) from error
        raise UnavailableError(f"the scheduler at {self.target} ended the stream")

    def _cause(self, error: grpc.aio.AioRpcError) -> CallsheetError:
        """Return the error of the tree; one that says that there was no answer names the target."""
        cause = from_rpc_error(error)
        if isinstance(cause, UnavailableError):
            return UnavailableError(f"no answer from the scheduler at {self.target}: {cause.message}")
        return cause

    def _tries(self) -> _Tries:
        return _Tries(patience=self.patience, clock=self.clock, since=self.clock.monotonic())
