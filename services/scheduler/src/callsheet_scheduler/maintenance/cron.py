"""Looks for schedules that are due, for as long as this process leads."""

import asyncio
import logging
from typing import Final

from callsheet.errors import UnavailableError
from callsheet_scheduler.leadership import TICK_S, Leadership
from callsheet_scheduler.use_cases.cron import Cron

log = logging.getLogger(__name__)

#: Seconds until schedules are looked at again after a failure.
AGAIN_S: Final = 1.0


async def run_cron(leadership: Leadership, cron: Cron) -> None:
    """Fire what is due at every tick of the leader, until cancelled."""
    while True:
        pause_s = TICK_S
        try:
            await leadership.leading()
            await cron.fire()
        except UnavailableError as error:
            log.warning("schedules wait: %s", error.message)
            pause_s = AGAIN_S
        await asyncio.sleep(pause_s)
