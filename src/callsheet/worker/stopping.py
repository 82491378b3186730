"""How an attempt is brought to its end: it is asked, then its processes get SIGTERM, then SIGKILL."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from callsheet.errors import AttemptCancelledError, CallsheetError
from callsheet.v1.job_pb2 import (
    STOP_RUNG_ASKED,
    STOP_RUNG_BEFORE_START,
    STOP_RUNG_UNSPECIFIED,
    StopRung,
)
from callsheet.within import within
from callsheet.worker.stream.commands import StopReason

TERM_GRACE_S: Final = 5.0
"""How long a child process may take to end after SIGTERM, before SIGKILL, unless told otherwise."""

_ASKING: Final = frozenset({StopReason.PAUSED, StopReason.HANDED_ON})

Climbed = Callable[[StopRung.ValueType], None]
"""Told of each rung that a child process made necessary."""


def nobody(_: StopRung.ValueType) -> None:
    """Hear what it took to end a child, and forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How a child process is ended: SIGTERM, then SIGKILL."""

    term_grace_s: float = TERM_GRACE_S
    climbed: Climbed = nobody


class PausedHereError(CallsheetError):
    """An attempt stops at a checkpoint, as was asked; carries the checkpoint as JSON."""


class Stop:
    """What one attempt knows of its end."""

    __slots__ = ("_childless", "_children", "pressed", "reason", "rung")

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self.rung: StopRung.ValueType = STOP_RUNG_UNSPECIFIED
        """The highest rung that was needed."""
        self.pressed = False
        """The processor has been cancelled."""
        self._children = 0
        self._childless: asyncio.Event | None = None

    @property
    def pausing(self) -> bool:
        """Whether the attempt is to stop at its next checkpoint."""
        return self.reason in _ASKING

    @property
    def ending(self) -> bool:
        """Whether the attempt is to end, wherever it is."""
        return self.reason is not None and not self.pausing

    def ask(self, reason: StopReason, *, begun: bool) -> bool:
        """Take in why it is to end; True where that is the first reason to end at once."""
        first = not self.ending and reason not in _ASKING
        self.reason = reason
        if first:
            self.rung = STOP_RUNG_ASKED if begun else STOP_RUNG_BEFORE_START
        return first

    def check(self) -> None:
        """Go on only where nobody wants the end.

        Raises:
            AttemptCancelledError: The attempt is to end.
        """
        if self.ending:
            raise AttemptCancelledError("The attempt was asked to end")

    def climbed(self, rung: StopRung.ValueType) -> None:
        """Note that a child process had to be signalled because the attempt is to end."""
        if self.ending:
            self.rung = max(self.rung, rung)

    @asynccontextmanager
    async def child(self) -> AsyncGenerator[None]:
        """Count a child process that works for the attempt; one that is to end gets no more of them.

        It waits here to be cancelled. An exception of another kind might be taken for a fault of the media.

        Raises:
            AttemptCancelledError: It was cancelled and goes on all the same.
        """
        if self.ending and not self.pressed:
            await asyncio.get_running_loop().create_future()
        self.check()
        self._children += 1
        try:
            yield
        finally:
            self._children -= 1
            if not self._children and self._childless is not None:
                self._childless.set()

    async def childless(self, limit_s: float) -> None:
        """Wait until no child process works for the attempt, at most *limit_s*."""
        if not self._children:
            return
        self._childless = asyncio.Event()
        with suppress(TimeoutError):
            async with within(limit_s):
                await self._childless.wait()
