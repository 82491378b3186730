"""The ledger of the GPUs: who is charged with what, and what proves that it is free again.

A lease is charged once and given back once. One that ended without proof that its processes did lingers:
it stays charged until its worker says so, its GPU is seen to be empty, or ``orphan_limit_s`` has passed,
after which no worker goes on by itself.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import (
    Bounds,
    Card,
    Charge,
    DeviceId,
    KeptAccount,
    LeaseKey,
    Reading,
)
from callsheet_scheduler.domain.effects import FreeVram, KeepDevice, TurnEffect
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.domain.openings import Openings


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRules:
    """The numbers of the ledger."""

    margin_mib: int = 512
    """Kept free on every GPU."""
    fresh_s: float = 30.0
    """A reading counts for so long."""
    orphan_limit_s: float = 900.0
    """A worker without a scheduler stops its attempts after so long."""


class Ledger:
    """The accounts of all GPUs. What has to be written is added to *writes*, in order."""

    def __init__(self, rules: LedgerRules, writes: list[TurnEffect]) -> None:
        self.rules = rules
        self.accounts: dict[DeviceId, Account] = {}
        self.lingering: dict[LeaseKey, Charge] = {}
        self._writes = writes
        self.openings = Openings()
        self._reached: dict[WorkerId, list[Account]] = {}

    # ---- workers ----

    def connect(
        self,
        worker_id: WorkerId,
        host: str,
        cards: Iterable[Card],
        held: Collection[LeaseKey],
        now: float,
    ) -> None:
        """A worker came: these GPUs it reaches, these leases may still have processes."""
        self.disconnect(worker_id)
        for card in cards:
            account = self.accounts.get(card.id)
            if account is None:
                bounds = Bounds(
                    capacity_mib=card.memory_mib,
                    margin_mib=self.rules.margin_mib,
                    encoder_sessions_max=card.encoder_sessions_max,
                )
                account = self.accounts[card.id] = Account(card, host, bounds)
                account.reach(worker_id, host, card)
                self._keep(account)
            else:
                account.reach(worker_id, host, card)
                self._adapt(account)
            self._reached.setdefault(worker_id, []).append(account)
        for lease, charge in list(self.lingering.items()):
            if charge.worker_id == worker_id:
                self._answer(charge, now, held=lease in held)

    def disconnect(self, worker_id: WorkerId) -> None:
        """A worker's stream is gone."""
        for account in self._reached.pop(worker_id, ()):
            account.part(worker_id)
            self._adapt(account)
            self._forget_if_unused(account)

    def exited(self, worker_id: WorkerId) -> None:
        """No process of the worker's leases runs any more."""
        for lease, charge in list(self.lingering.items()):
            if charge.worker_id == worker_id:
                self.prove(lease)

    def _answer(self, charge: Charge, now: float, *, held: bool) -> None:
        """The worker of a charge that lingers says whether the lease may still have processes."""
        if not held:
            self.prove(charge.lease)
            return
        charge = replace(charge, named_at=now)
        self.accounts[charge.device].charges[charge.lease] = self.lingering[charge.lease] = charge

    def observe(self, worker_id: WorkerId, readings: Mapping[DeviceId, Reading], now: float) -> None:
        """A worker looked at its GPUs."""
        for account in self._reached.get(worker_id, ()):
            reading = readings.get(account.id)
            if reading is not None:
                account.observe(worker_id, reading, now, fresh_s=self.rules.fresh_s)
                if self.lingering:
                    self._learn(account, worker_id, reading, now)
                self._adapt(account)

    def _learn(self, account: Account, worker_id: WorkerId, reading: Reading, now: float) -> None:
        """Free what a reading shows to be free: unnamed by its worker, or on a GPU that is empty."""
        empty = reading.fine and account.unclaimed_mib(reading) <= account.bounds.margin_mib
        for charge in [one for one in account.charges.values() if one.lingers_since is not None]:
            if charge.worker_id == worker_id:
                self._answer(charge, now, held=charge.lease in reading.held)
            elif empty and charge.began and charge.worker_id not in account.reached:
                self.prove(charge.lease)

    # ---- leases ----

    def charge(self, charge: Charge) -> None:
        """Charge a lease that is about to be granted.

        Raises:
            ValueError: It is charged already, or the account would be overdrawn.
        """
        self.accounts[charge.device].add(charge)
        self.openings.chose(charge.device)

    def release(self, device: DeviceId, lease: LeaseKey) -> None:
        """Give back what a lease is charged with; it ended, and so did its processes."""
        account = self.accounts[device]
        account.remove(lease)
        self._adapt(account)
        self._forget_if_unused(account)

    def linger(self, device: DeviceId, lease: LeaseKey, now: float, *, began: bool) -> None:
        """Keep a lease charged that ended without proof that its processes did, if they *began*."""
        account = self.accounts[device]
        charge = replace(account.charges[lease], lingers_since=now, began=began)
        account.charges[lease] = self.lingering[lease] = charge
        account.forget_reading(charge.worker_id)
        self.openings.touched.add(device)

    def prove(self, lease: LeaseKey) -> None:
        """The processes of *lease* ended: free what it is still charged with, if anything."""
        charge = self.lingering.pop(lease, None)
        if charge is not None:
            self._writes.append(FreeVram(lease=lease))
            self.release(charge.device, lease)

    def expire(self, now: float) -> None:
        """Free what no worker has spoken of for so long that none can be using it any more."""
        limit_s = self.rules.orphan_limit_s
        for lease, charge in list(self.lingering.items()):
            if charge.silent_since is not None and now - charge.silent_since > limit_s:
                self.prove(lease)

    # ---- placing ----

    def reached_by(self, worker_id: WorkerId) -> list[Account]:
        """Return the accounts of the GPUs that a connected worker can use."""
        return [account for account in self._reached.get(worker_id, ()) if account.serves(worker_id)]

    def named_by(self, worker_id: WorkerId) -> list[Account]:
        """Return the accounts of the GPUs that a connected worker named, whether it can use them or not."""
        return self._reached.get(worker_id, [])

    # ---- from the tables ----

    def restore(self, kept: Iterable[KeptAccount], charges: Iterable[Charge]) -> None:
        """Take over the accounts and charges of an earlier leader."""
        for one in kept:
            self.accounts[one.card.id] = Account(one.card, one.host, one.bounds)
        for charge in charges:
            self.accounts[charge.device].add(charge)
            if charge.lingers_since is not None:
                self.lingering[charge.lease] = charge
        for account in list(self.accounts.values()):
            self._adapt(account)
            self._forget_if_unused(account)

    # ---- bounds ----

    def _adapt(self, account: Account) -> None:
        """Let the bounds follow what is known of the GPU, unless leases are charged with more."""
        self.openings.touched.add(account.id)
        wanted = account.wanted_bounds(self.rules.margin_mib)
        if wanted != account.bounds and wanted.allow(account.allocated):
            account.bounds = wanted
            self._keep(account)

    def _keep(self, account: Account) -> None:
        self.openings.touched.add(account.id)
        self._writes.append(KeepDevice(card=account.card, host=account.host, bounds=account.bounds))

    def _forget_if_unused(self, account: Account) -> None:
        if not account.reached and not account.charges:
            self.accounts.pop(account.id, None)
