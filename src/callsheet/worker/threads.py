"""Runs blocking file work beside the loop, and never leaves it half done when the caller is cancelled."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, TypeVar

from callsheet.errors import AttemptCancelledError

ResultT = TypeVar("ResultT")

_given_up: Final[ContextVar[threading.Event | None]] = ContextVar("given_up", default=None)


async def in_thread(
    function: Callable[[], ResultT], undo: Callable[[ResultT], object] | None = None
) -> ResultT:
    """Return what *function* returns, from a thread.

    A thread cannot be cancelled. A cancelled caller waits until it has ended, so that nothing appears
    behind its back; work that takes long asks `check_wanted` now and then.

    Args:
        function: The work.
        undo: Called with the result when the caller was cancelled and nobody else will get it.
    """
    given_up = threading.Event()

    def work() -> ResultT:
        _given_up.set(given_up)
        return function()

    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.wait({working})
        if working.exception() is None and undo is not None:
            undo(working.result())
        raise


def check_wanted() -> None:
    """Stop here if whoever waits for this thread's work was cancelled.

    Raises:
        AttemptCancelledError: Nobody waits any more.
    """
    pause(0.0)


def pause(seconds: float) -> None:
    """Wait for some seconds in a thread, or until nobody waits for its work any more.

    Raises:
        AttemptCancelledError: Nobody waits any more.
    """
    given_up = _given_up.get() or threading.Event()
    if given_up.wait(seconds):
        raise AttemptCancelledError("nobody waits for it any more")
