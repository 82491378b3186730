"""Streams between workers and schedulers that are slow, break, or fall silent."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from tests.support.simulator.chance import Chance

ItemT = TypeVar("ItemT")


class StreamEndedError(Exception):
    """The other side, or the network, ended the stream."""


class Pipe(Generic[ItemT]):
    """One direction of a stream: what is sent arrives in order, later, or not at all."""

    def __init__(self, chance: Chance) -> None:
        self.silent = False
        """Whatever is sent is lost, and nobody learns of it."""
        self._chance = chance
        self._items: deque[tuple[float, ItemT]] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._last = 0.0

    def send(self, item: ItemT) -> None:
        """Let *item* arrive some time later."""
        if self.silent or self._ended:
            return
        chance = self._chance
        slow = chance.strikes(chance.faults.stream_slow)
        delay_s = chance.delay_s(1.5 if slow else 0.003)
        self._last = max(self._last, asyncio.get_running_loop().time() + delay_s)
        self._items.append((self._last, item))
        self._wake.set()

    def end(self, *, lose: bool = False) -> None:
        """End this direction: what is on its way still arrives, unless it is lost."""
        self._ended = True
        if lose:
            self._items.clear()
        self._wake.set()

    async def next(self) -> ItemT:
        """Return what arrives next.

        Raises:
            StreamEndedError: Nothing more will.
        """
        loop = asyncio.get_running_loop()
        while True:
            if self._items:
                at = self._items[0][0]
                if at > loop.time():
                    await asyncio.sleep(at - loop.time())
                    continue
                return self._items.popleft()[1]
            if self._ended:
                raise StreamEndedError
            self._wake.clear()
            await self._wake.wait()
