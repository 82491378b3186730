"""A limit of time that holds in clean-up too."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def within(limit_s: float | None) -> AsyncGenerator[asyncio.Timeout]:
    """Let the block take at most *limit_s* seconds; None for any time.

    In Python 3.11.0 to 3.11.2, of which Debian 12 has the last, ``asyncio.timeout`` alone raises no
    TimeoutError where its caller had been cancelled before: what follows the wait in a clean-up is left out.

    Raises:
        TimeoutError: The time is over.
    """
    caller = asyncio.current_task()
    cancelled_before = 0 if caller is None else caller.cancelling()
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            yield limit
    except asyncio.CancelledError:
        if limit.expired() and caller is not None and caller.cancelling() <= cancelled_before:
            raise TimeoutError from None
        raise
