"""The ledger of the GPUs as somebody looks at it."""

from dataclasses import dataclass

from callsheet_scheduler.domain.account import Account, AccountState
from callsheet_scheduler.domain.device import Charge, Need, Reading
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.leadership import Leadership


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

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def all(self) -> list[DeviceView]:
        """Return the account of every GPU that is reached or charged, by host and number."""
        term = self._leadership.current()
        now = term.commits.now()
        accounts = sorted(term.engine.ledger.accounts.values(), key=_place)
        return [view_of(term.engine, account, now) for account in accounts]


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
