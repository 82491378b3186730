"""One connection for many callers, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

ConnectionT = TypeVar("ConnectionT")
ValueT = TypeVar("ValueT")


class Shared(Generic[ConnectionT]):
    """Lends a connection. What a caller began on it comes to its end, whether the caller stays or not.

    A statement that is broken off leaves the connection in the middle of a transaction, which the next
    caller would write into.
    """

    def __init__(self, connection: ConnectionT) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._uses: set[asyncio.Task[object]] = set()

    async def use(self, work: Callable[[ConnectionT], Awaitable[ValueT]]) -> ValueT:
        """Do *work* with the connection and return what it returns.

        A caller that is cancelled while it waits for its turn begins nothing; one that is cancelled later
        leaves at once, and its work goes on without it.
        """
        await self._turn.acquire()
        using = asyncio.create_task(self._used(work))
        self._uses.add(using)
        using.add_done_callback(self._ended)
        return await asyncio.shield(using)

    async def _used(self, work: Callable[[ConnectionT], Awaitable[ValueT]]) -> ValueT:
        return await work(self._connection)

    def _ended(self, using: asyncio.Task[ValueT]) -> None:
        self._turn.release()
        self._uses.discard(using)
        if not using.cancelled():
            using.exception()
