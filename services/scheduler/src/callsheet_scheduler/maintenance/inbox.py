"""Looks into the inbox for as long as this process leads."""

import asyncio
import logging
from typing import Final

from callsheet.errors import CallsheetError
from callsheet_scheduler.leadership import TICK_S, Leadership
from callsheet_scheduler.use_cases.inbox import Inbox

log = logging.getLogger(__name__)

#: Seconds until the inbox is looked into again after a failure.
AGAIN_S: Final = 1.0


async def run_inbox(leadership: Leadership, inbox: Inbox) -> None:
    """Take what is there every quarter of a second, at once where there was much, until cancelled."""
    while True:
        pause_s = TICK_S
        try:
            await leadership.leading()
            pause_s = 0.0 if await inbox.take() else TICK_S
        except CallsheetError as error:
            log.warning("the inbox waits: %s", error.message)
            pause_s = AGAIN_S
        await asyncio.sleep(pause_s)
