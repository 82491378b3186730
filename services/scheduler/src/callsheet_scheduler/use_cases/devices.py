"""The ledger of the GPUs as somebody looks at it."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from callsheet.errors import InvalidError
from callsheet_scheduler.domain.account import Account, AccountState
from callsheet_scheduler.domain.device import Charge, DeviceId, Need, Reading
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store.minutes import MINUTE_S, MinutesStore, SampledAt

#: A day of them.
MINUTES_MAX: Final = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One account as it stands."""

    account: Account
    state: AccountState
    problem: str
    free: Need
    latest: Reading | None
    """The newest look at the GPU, if it still counts."""
    workers: list[WorkerId]
    charges: list[tuple[Charge, str]]
    """What is charged, oldest first, each with the job's type; empty for a job that is history."""


class Devices:
    """Reads the ledger from the leader's memory."""

    def __init__(self, leadership: Leadership, minutes: MinutesStore) -> None:
        self._leadership = leadership
        self._minutes = minutes

    def all(self) -> list[DeviceView]:
        """Return the account of every GPU that is reached or charged, by host and number."""
        term = self._leadership.current()
        now = term.commits.now()
        accounts = sorted(term.engine.ledger.accounts.values(), key=_place)
        return [view_of(term.engine, account, now) for account in accounts]

    async def history(self, count: int) -> dict[DeviceId, list[SampledAt]]:
        """Return the accounts of the last *count* minutes that were kept, by GPU, oldest first.

        Raises:
            InvalidError: There are too many.
        """
        if not 0 <= count <= MINUTES_MAX:
            raise InvalidError(f"must be 0 to {MINUTES_MAX}, not {count}", field="history_minutes")
        found: defaultdict[DeviceId, list[SampledAt]] = defaultdict(list)
        if count:
            since = self._leadership.current().commits.now() - count * MINUTE_S
            for one in await self._minutes.device_samples(since=since):
                found[one.sample.device].append(one)
        return found


def view_of(engine: Engine, account: Account, now: float) -> DeviceView:
    """Return *account* as it stands."""
    fresh_s = engine.ledger.rules.fresh_s
    jobs = engine.queue.jobs
    charges = sorted(account.charges.values(), key=_charged_at)
    return DeviceView(
        account=account,
        state=account.state(),
        problem=account.problem(),
        free=account.free(now, fresh_s) if account.is_usable() else Need(0, 0),
        latest=account.latest if account.is_fresh(now, fresh_s) else None,
        workers=sorted(account.reached),
        charges=[
            (charge, jobs[charge.lease[0]].type if charge.lease[0] in jobs else "") for charge in charges
        ],
    )


def _place(account: Account) -> tuple[str, int, str]:
    return account.host, account.card.index, account.id


def _charged_at(charge: Charge) -> float:
    return charge.at
