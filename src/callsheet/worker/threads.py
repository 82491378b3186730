"""Runs blocking file work beside the loop, and never leaves it half done when the caller is cancelled."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def in_thread(
    function: Callable[[], ResultT], undo: Callable[[ResultT], object] | None = None
) -> ResultT:
    """Return what *function* returns, from a thread.

    A thread cannot be cancelled. A cancelled caller waits until it has ended, so that nothing appears
    behind its back.

    Args:
        function: The work.
        undo: Called with the result when the caller was cancelled and nobody else will get it.
    """
    working = asyncio.create_task(asyncio.to_thread(function))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        if undo is not None and working.exception() is None:
            undo(working.result())
        raise
