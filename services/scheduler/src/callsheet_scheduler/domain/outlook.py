"""Until when leases are expected to hold what they hold, and so when there will be room for a GPU job.

What a job can be short of are *pools*: the memory and encoder sessions of one GPU, the slots of one worker,
and the places that a limit leaves on one host or in the whole fleet.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import Final, NamedTuple

from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import DeviceId, LeaseKey, Need, need_of
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.footprint import OUTLASTING, Footprints
from callsheet_scheduler.domain.job import JobId, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Scope, scopes_of

#: A lease of which nobody knows how long it runs is taken to run so long, then a quarter longer than it has.
ASSUMED_RUN_S: Final = 600.0

#: One slot, or one place below a limit.
ONE: Final = Need(1, 0)

_NOBODY: Final[LeaseKey] = (JobId(""), Token(0))


class End(NamedTuple):
    """When something is expected to end."""

    at: float
    known: bool
    """Runs of the past tell so; otherwise it is a guess."""


class Use(NamedTuple):
    """What somebody holds of a pool."""

    end: End
    need: Need
    lease: LeaseKey


class Key(NamedTuple):
    """Names a pool."""

    of: str
    """``gpu``, ``worker``, ``host``, or ``fleet``."""
    name: str
    scope: str = ""
    """Of a limit."""


class Pool:
    """Something of which there is so much."""

    __slots__ = ("_size", "_uses")

    def __init__(self, size: Need, uses: Iterable[Use]) -> None:
        self._size = size
        self._uses = sorted(uses)

    def fits_at(
        self, need: Need, now: float, *, more: Iterable[Use] = (), without: Collection[LeaseKey] = ()
    ) -> End | None:
        """Return when *need* can be had, if no others come; None for never.

        *more* are uses besides those of the pool, *without* are leases that do not count.
        """
        uses = [use for use in self._uses if use.lease not in without]
        if more:
            uses = sorted([*uses, *more])
        left_mib = self._size.vram_mib - sum(use.need.vram_mib for use in uses)
        sessions = self._size.encoder_sessions - sum(use.need.encoder_sessions for use in uses)
        at, known = now, True
        for use in uses:
            if left_mib >= need.vram_mib and sessions >= need.encoder_sessions:
                break
            left_mib += use.need.vram_mib
            sessions += use.need.encoder_sessions
            at, known = max(at, use.end.at), known and use.end.known
        fits = left_mib >= need.vram_mib and sessions >= need.encoder_sessions
        return End(at, known) if fits and at < inf else None

    def has_at(self, instant: float, need: Need, others: Sequence[Need]) -> bool:
        """Return whether *need* can be had at *instant* beside what *others* get."""
        held = [use.need for use in self._uses if use.end.at > instant]
        wanted = [need, *others, *held]
        return (
            sum(one.vram_mib for one in wanted) <= self._size.vram_mib
            and sum(one.encoder_sessions for one in wanted) <= self._size.encoder_sessions
        )


class Outlook:
    """What is expected at one instant, and until the next lease begins or ends."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, jobs: Mapping[JobId, LiveJob], footprints: Footprints, now: float
    ) -> None:
        self.now = now
        self._fleet = fleet
        self._ledger = ledger
        self._jobs = jobs
        self._footprints = footprints
        self._pools: dict[Key, Pool] = {}
        self._hosts: dict[str, list[LiveJob]] | None = None

    def until(self, job: LiveJob) -> float:
        """Return when an attempt of *job* that begins at once is expected to end; infinite where unknown."""
        run_s = self._footprints.run_s(job)
        return inf if run_s is None else self.now + run_s

    def end_of(self, job: LiveJob, began_at: float) -> End:
        """Return when the lease of *job* is expected to end; *began_at* holds unless its worker said more."""
        end_at = self._footprints.end_at(job, self.now)
        if end_at is not None:
            return End(max(end_at, self.now), known=True)
        began_at = min(began_at if job.started_at is None else job.started_at, self.now)
        return End(began_at + max(ASSUMED_RUN_S, (self.now - began_at) * OUTLASTING), known=False)

    # ---- pools ----

    def needs(self, job: LiveJob, worker: Worker, device: DeviceId | None) -> dict[Key, Need]:
        """Return what *job* takes of which pools when *worker* gets it; without a GPU where there is none."""
        host, limits = worker.capability.host, self._fleet.limits
        taken = {Key("worker", worker.capability.id): ONE}
        need = need_of(job.category, job.vram_mib)
        if device is not None and need is not None:
            taken[Key("gpu", device)] = need
        for scope in scopes_of(job.category, job.type):
            if scope in limits.host:
                taken[Key("host", host, scope)] = ONE
            if scope in limits.fleet:
                taken[Key("fleet", "", scope)] = ONE
        return taken

    def pool(self, key: Key) -> Pool:
        """Return the pool of that name."""
        known = self._pools.get(key)
        if known is None:
            known = self._pools[key] = self._counted(key)
        return known

    def _counted(self, key: Key) -> Pool:
        match key.of:
            case "gpu":
                return self._gpu(self._ledger.accounts[DeviceId(key.name)])
            case "worker":
                worker = self._fleet.workers[WorkerId(key.name)]
                leased = [self._jobs[job_id] for job_id in worker.leases]
                return Pool(Need(worker.capability.slots, 0), map(self._place, leased))
            case "host":
                limit, leased = self._fleet.limits.host[Scope(key.scope)], self._leased().get(key.name, [])
            case _:
                limit = self._fleet.limits.fleet[Scope(key.scope)]
                leased = [job for jobs in self._leased().values() for job in jobs]
        scope = Scope(key.scope)
        within = (job for job in leased if scope in scopes_of(job.category, job.type))
        return Pool(Need(limit, 0), map(self._place, within))

    def _gpu(self, account: Account) -> Pool:
        """Strangers stay; what is seen beyond the charges belongs to processes that are about to end."""
        rules = self._ledger.rules
        whole = account.whole()
        uses: list[Use] = []
        for lease, charge in account.charges.items():
            job = self._jobs.get(lease[0])
            if charge.silent_since is not None:
                end = End(charge.silent_since + rules.orphan_limit_s, known=True)
            elif job is not None:
                end = self.end_of(job, charge.at)
            else:
                end = End(self.now, known=True)
            uses.append(Use(end, charge.need, lease))
        if account.is_fresh(self.now, rules.fresh_s):
            whole = Need(
                whole.vram_mib - account.foreign_mib, whole.encoder_sessions - account.foreign_sessions
            )
            beyond_mib = max(0, account.observed_mib - account.allocated.vram_mib)
            uses.append(Use(End(self.now + rules.fresh_s, known=True), Need(beyond_mib, 0), _NOBODY))
        return Pool(whole, uses)

    def _place(self, job: LiveJob) -> Use:
        return Use(self.end_of(job, self.now), ONE, (job.id, job.token))

    def _leased(self) -> dict[str, list[LiveJob]]:
        if self._hosts is None:
            self._hosts = {}
            for worker in self._fleet.workers.values():
                for job_id in worker.leases:
                    job = self._jobs[job_id]
                    self._hosts.setdefault(job.host or "", []).append(job)
        return self._hosts
