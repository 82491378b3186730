"""Looks again and again for something to do, for as long as this process leads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from callsheet.errors import CallsheetError
from callsheet_scheduler.leadership import TICK_S, Leadership

log = logging.getLogger(__name__)

#: Seconds until the next look after a failure.
AGAIN_S: Final = 1.0

Look = Callable[[], Awaitable[bool | None]]
"""Does what there is to do, and returns whether there is more."""


async def look_while_leading(leadership: Leadership, what: str, look: Look) -> None:
    """Look at every tick of the leader, at once where there is more, until cancelled.

    *what* begins the line that the log has of a look that failed.
    """
    while True:
        pause_s = TICK_S
        try:
            await leadership.leading()
            pause_s = 0.0 if await look() else TICK_S
        except CallsheetError as error:
            log.warning("%s: %s", what, error.message)
            pause_s = AGAIN_S
        await asyncio.sleep(pause_s)
