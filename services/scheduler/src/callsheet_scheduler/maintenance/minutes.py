"""Writes once a minute how long jobs waited and how the GPUs' accounts stand; a crash loses a minute."""

import asyncio
import logging
from contextlib import suppress

from callsheet.errors import UnavailableError
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.minutes import MINUTE_S, DeviceSample, add_device_samples, add_waits

log = logging.getLogger(__name__)


async def keep_minutes(leadership: Leadership) -> None:
    """Write at the beginning of each minute for as long as this process leads, until cancelled."""
    while True:
        term = await leadership.leading()
        with suppress(TimeoutError):
            await asyncio.wait_for(term.commits.lost.wait(), MINUTE_S - term.commits.now() % MINUTE_S)
            continue
        try:
            await keep_minute(term)
        except UnavailableError as error:
            log.warning("a minute of waits and GPU memory is not kept: %s", error.message)


async def keep_minute(term: Term) -> None:
    """Write what came since the last minute.

    Raises:
        UnavailableError: It was not written, or that is not known. It is not tried again, lest it
            counts twice.
    """
    engine, now = term.engine, term.commits.now()
    if waits := engine.waits.take():
        await term.write_control(lambda connection: add_waits(connection, waits))
    if samples := samples_of(engine, now):
        at = now // MINUTE_S * MINUTE_S
        await term.write_control(lambda connection: add_device_samples(connection, samples, at=at))


def samples_of(engine: Engine, now: float) -> list[DeviceSample]:
    """Return the accounts of all GPUs as they stand."""
    fresh_s = engine.ledger.rules.fresh_s
    return [
        DeviceSample(
            device=account.id,
            capacity_mib=account.bounds.capacity_mib,
            allocated_mib=account.allocated.vram_mib,
            observed_mib=account.observed_mib if account.is_fresh(now, fresh_s) else None,
            foreign_mib=account.foreign_mib if account.is_fresh(now, fresh_s) else None,
        )
        for account in engine.ledger.accounts.values()
    ]
