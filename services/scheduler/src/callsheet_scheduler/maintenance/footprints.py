"""Writes now and then what was learned of jobs' needs; a crash loses what came since."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from callsheet.errors import UnavailableError
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.footprints import save_footprints

log = logging.getLogger(__name__)

#: Seconds between two writes.
ROUND_S: Final = 30.0


async def keep_footprints(leadership: Leadership) -> None:
    """Write what has changed every half a minute for as long as this process leads, until cancelled."""
    while True:
        term = await leadership.leading()
        with suppress(TimeoutError):
            await asyncio.wait_for(term.commits.lost.wait(), ROUND_S)
            continue
        try:
            await keep_once(term)
        except UnavailableError as error:
            log.warning("what was learned of jobs is not written yet: %s", error.message)


async def keep_once(term: Term) -> None:
    """Write what has changed.

    Raises:
        UnavailableError: It was not written, or that is not known; it is written with the next.
    """
    footprints = term.engine.footprints
    changed = footprints.take_changed()
    if not changed:
        return
    try:
        await term.write_control(lambda connection: save_footprints(connection, changed))
    except BaseException:
        footprints.put_back(changed)
        raise
