"""Looks at the cards again and again in a thread, since a call into the driver may never return."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from callsheet.within import within
from callsheet.worker.stream.devices import Look

INTERVAL_S: Final = 0.5
"""Between two looks; how fine the peak of an attempt is measured."""


class CardWatch:
    """A thread that looks. It is never waited for: one that hangs in the driver ends with the process."""

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look
        self._latest: Look | None = None
        self._told = asyncio.Event()
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="cards", daemon=True).start()

    async def following(self, patience_s: float) -> Look | None:
        """Return the look that comes next; None where the driver takes longer than *patience_s* over it."""
        self._told.clear()
        with suppress(TimeoutError):
            async with within(patience_s):
                await self._told.wait()
                return self._latest
        return None

    def latest(self) -> Look | None:
        """Return the newest look, which is old where the driver hangs; None before the first."""
        return self._latest

    def stop(self) -> None:
        """Look no more, once the driver returns."""
        self._over.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._over.is_set():
            self._latest = self._look()
            with suppress(RuntimeError):  # the loop is closed and the process about to end
                loop.call_soon_threadsafe(self._told.set)
            self._over.wait(INTERVAL_S)
