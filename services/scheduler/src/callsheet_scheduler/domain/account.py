"""The account of one GPU, over all workers that reach it."""

from dataclasses import replace
from enum import IntEnum
from typing import Final

from callsheet_scheduler.domain.device import Bounds, Card, Charge, DeviceId, LeaseKey, Need, Reading
from callsheet_scheduler.domain.job import WorkerId


class AccountState(IntEnum):
    """How a GPU is; the values are those on the wire."""

    OK = 1
    SHRUNK = 2
    """It has less memory than its leases are charged with."""
    VANISHED = 3
    """Its driver does not know it any more."""
    UNREACHED = 4
    """No connected worker reaches it."""


class Account:
    """What a GPU has, what is charged to it, and what is seen there.

    Charged is never more than ``bounds`` allow, whatever is seen: readings only make less of what is free.
    """

    def __init__(self, card: Card, host: str, bounds: Bounds) -> None:
        self.card = card
        self.host = host
        self.bounds = bounds
        self.charges: dict[LeaseKey, Charge] = {}
        self.allocated = Need(0, 0)
        self.reached: dict[WorkerId, Card] = {}
        """By connected worker: the GPU as it names it."""
        self.observed_mib = 0
        self.foreign_mib = 0
        self.foreign_sessions = 0
        self.latest: Reading | None = None
        """The newest look at it that means anything."""
        self.read_at = float("-inf")
        self._readings: dict[WorkerId, tuple[Reading, float]] = {}
        self._whole: tuple[Bounds, Need] | None = None
        """What there is to give under these bounds, until somebody sees something else."""

    @property
    def id(self) -> DeviceId:
        """The GPU's UUID."""
        return self.card.id

    @property
    def place(self) -> str:
        """Which GPU it is, for people."""
        return f"{self.host} GPU {self.card.index}"

    # ---- charges ----

    def add(self, charge: Charge) -> None:
        """Charge a lease.

        Raises:
            ValueError: The lease is charged already, or the account would be overdrawn.
        """
        allocated = _sum(self.allocated, charge.need)
        if charge.lease in self.charges or not self.bounds.allow(allocated):
            message = f"{charge.lease[0]} cannot be charged {charge.need} to {self.id}: {self.allocated}"
            raise ValueError(message)
        self.charges[charge.lease] = charge
        self.allocated = allocated

    def remove(self, lease: LeaseKey) -> None:
        """Give back what *lease* is charged with."""
        need = self.charges.pop(lease).need
        self.allocated = _sum(self.allocated, need, -1)

    # ---- who reaches it ----

    def reach(self, worker_id: WorkerId, host: str, card: Card) -> None:
        """A worker says that it reaches the GPU. Who names no driver has not looked: others describe it."""
        self._whole = None
        self._readings.pop(worker_id, None)
        self.reached[worker_id] = card
        if card.driver or not self.card.driver:
            self.card, self.host = card, host

    def part(self, worker_id: WorkerId) -> None:
        """A worker does not reach the GPU any more."""
        self._whole = None
        self.reached.pop(worker_id, None)
        self._readings.pop(worker_id, None)

    def wanted_bounds(self, margin_mib: int) -> Bounds:
        """Return the bounds by what is known: the least that a worker says."""
        if not self.reached:
            return replace(self.bounds, margin_mib=margin_mib)
        sessions = [card.encoder_sessions_max for card in self.reached.values()]
        limits = [limit for limit in sessions if limit is not None]
        return Bounds(
            capacity_mib=min(self._memory_mib(worker_id) for worker_id in self.reached),
            margin_mib=margin_mib,
            encoder_sessions_max=min(limits) if limits else None,
        )

    def _memory_mib(self, worker_id: WorkerId) -> int:
        reading, _ = self._readings.get(worker_id, (None, 0.0))
        named_mib = self.reached[worker_id].memory_mib
        seen_mib = reading.memory_mib if reading is not None and reading.fine else 0
        return min(seen_mib or named_mib, named_mib)

    # ---- what is seen ----

    def observe(self, worker_id: WorkerId, reading: Reading, now: float, *, fresh_s: float) -> None:
        """A worker looked at the GPU.

        Use that no worker calls its own is foreign. As long as leases are charged whose worker has not
        looked since, it may be theirs, but what was foreign before stays so.
        """
        self._whole = None
        self._readings[worker_id] = (reading, now)
        if not reading.fine:
            return
        seen = {
            worker: (one, at)
            for worker, (one, at) in self._readings.items()
            if one.fine and now - at <= fresh_s
        }
        unseen_mib = sum(
            charge.need.vram_mib
            for charge in self.charges.values()
            if charge.worker_id not in seen or seen[charge.worker_id][1] <= charge.at
        )
        believed_mib = self.foreign_mib if now - self.read_at <= fresh_s else 0
        self.observed_mib = sum(
            self._given_mib(worker) if one.ours_mib is None else one.ours_mib
            for worker, (one, _) in seen.items()
        )
        unclaimed_mib = self.unclaimed_mib(reading)
        self.foreign_mib = max(0, unclaimed_mib - unseen_mib, min(believed_mib, unclaimed_mib))
        self.foreign_sessions = max(0, reading.encoder_sessions - self.allocated.encoder_sessions)
        self.latest, self.read_at = reading, now

    def _given_mib(self, worker_id: WorkerId) -> int:
        return sum(one.need.vram_mib for one in self.charges.values() if one.worker_id == worker_id)

    def forget_reading(self, worker_id: WorkerId) -> None:
        """What a worker saw counts no more: it was silent for too long."""
        self._whole = None
        self._readings.pop(worker_id, None)

    def unclaimed_mib(self, reading: Reading) -> int:
        """Return how much of what is in use no worker calls its own."""
        return max(0, reading.used_mib - self.observed_mib)

    def is_fresh(self, now: float, fresh_s: float) -> bool:
        """Return whether there is a reading that counts."""
        return now - self.read_at <= fresh_s

    def state(self) -> AccountState:
        """Return how the GPU is."""
        if not self.reached:
            return AccountState.UNREACHED
        if all(self._is_gone(worker_id) for worker_id in self.reached):
            return AccountState.VANISHED
        wanted = self.wanted_bounds(self.bounds.margin_mib)
        return AccountState.OK if wanted.allow(self.allocated) else AccountState.SHRUNK

    def _is_gone(self, worker_id: WorkerId) -> bool:
        reading, _ = self._readings.get(worker_id, (None, 0.0))
        return reading is not None and reading.gone

    def problem(self) -> str:
        """Return what workers complain of; empty where they do not."""
        return next((reading.problem for reading, _ in self._readings.values() if reading.problem), "")

    # ---- what is free ----

    def free(self, now: float, fresh_s: float) -> Need:
        """Return what can be given to a job now; with no limit of sessions, as many as a job may want."""
        held_mib, sessions = self.allocated
        foreign_mib = 0
        if self.is_fresh(now, fresh_s):
            held_mib = max(held_mib, self.observed_mib)
            foreign_mib = self.foreign_mib
            sessions += self.foreign_sessions
        whole = self.whole()
        return Need(
            max(0, whole.vram_mib - held_mib - foreign_mib), max(0, whole.encoder_sessions - sessions)
        )

    def whole(self) -> Need:
        """Return what there is to give while nothing is charged and nobody else uses the GPU."""
        known = self._whole
        if known is None or known[0] is not self.bounds:
            both = (self.wanted_bounds(self.bounds.margin_mib), self.bounds)
            limits = [one.encoder_sessions_max for one in both if one.encoder_sessions_max is not None]
            whole = Need(min(one.usable_mib for one in both), min(limits, default=UNLIMITED))
            known = self._whole = (self.bounds, whole)
        return known[1]

    def is_usable(self) -> bool:
        """Return whether some worker can use the GPU."""
        return any(self.serves(worker_id) for worker_id in self.reached)

    def serves(self, worker_id: WorkerId) -> bool:
        """Return whether a worker can use the GPU, as far as it says."""
        reading, _ = self._readings.get(worker_id, (None, 0.0))
        return worker_id in self.reached and (reading is None or reading.fine)


#: More encoder sessions than any job wants.
UNLIMITED: Final = 1 << 16


def _sum(one: Need, other: Need, sign: int = 1) -> Need:
    return Need(
        one.vram_mib + sign * other.vram_mib,
        one.encoder_sessions + sign * other.encoder_sessions,
    )
