"""Until when leases are expected to hold what they hold, and so when there will be room for a GPU job.

What a job can be short of are *pools*: the memory and encoder sessions of one GPU, the slots of one worker,
and the places that a limit leaves on one host or in the whole fleet.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Final, NamedTuple, Protocol, TypeVar

from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import ENCODER_SESSIONS, DeviceId, LeaseKey, Need, need_of
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.footprint import OUTLASTING, Footprints
from callsheet_scheduler.domain.job import JobId, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Scope, scopes_of
from callsheet_scheduler.domain.placing import Sort, Spot, could_take, sort_of, takes_without_card

#: A lease of which nobody knows how long it runs is taken to run so long, then a quarter longer than it has.
ASSUMED_RUN_S: Final = 600.0

#: So many GPUs are looked at for one job, the emptiest first.
SPOTS_MAX: Final = 64

#: One slot, or one place below a limit.
ONE: Final = Need(1, 0)

_NOBODY: Final[LeaseKey] = (JobId(""), Token(0))


class End(NamedTuple):
    """When something is expected to end."""

    at: float
    known: bool
    """Runs of the past tell so; otherwise it is a guess."""


_NEVER: Final = End(inf, known=False)


class Use(NamedTuple):
    """What somebody holds of a pool, or will hold."""

    end: End
    need: Need
    lease: LeaseKey
    begins_at: float = -inf


class Key(NamedTuple):
    """Names a pool."""

    of: str
    """``gpu``, ``worker``, ``host``, or ``fleet``."""
    name: str
    scope: str = ""
    """Of a limit."""


class Others(NamedTuple):
    """Who else counts."""

    more: Sequence[Use] = ()
    """Will hold something of the pool."""
    without: Collection[LeaseKey] = ()
    """Are taken to be gone."""


class Pool:
    """Something of which there is so much."""

    __slots__ = ("_size", "_uses")

    def __init__(self, size: Need, uses: Iterable[Use]) -> None:
        self._size = size
        self._uses = list(uses)

    def fits_at(
        self, need: Need, since: float, run_s: float, others: Others, before: float = inf
    ) -> float | None:
        """Return from when on *need* can be had for *run_s*, not before *since*; None: not *before* then."""
        return self._fits_at(need, since, run_s, self._uses_with(others), before) if since < before else None

    def is_sure(self, need: Need, at: float, run_s: float, others: Others) -> bool:
        """Return whether it can be had then even if what is only guessed to end never does."""
        uses = [use if use.end.known else use._replace(end=_NEVER) for use in self._uses_with(others)]
        return self._fits_at(need, at, run_s, uses, inf) == at

    def _uses_with(self, others: Others) -> list[Use]:
        uses = (
            [use for use in self._uses if use.lease not in others.without] if others.without else self._uses
        )
        return [*uses, *others.more]

    def _fits_at(
        self, need: Need, since: float, run_s: float, uses: list[Use], before: float
    ) -> float | None:
        """Go from one begin or end of a use to the next; what ends makes room for what begins then."""
        free_mib = self._size.vram_mib - need.vram_mib
        free_sessions = self._size.encoder_sessions - need.encoder_sessions
        steps: list[tuple[float, bool, Need]] = []
        for use in uses:
            if use.end.at > max(since, use.begins_at):
                steps.append((use.end.at, False, use.need))
                if use.begins_at < since:
                    free_mib -= use.need.vram_mib
                    free_sessions -= use.need.encoder_sessions
                else:
                    steps.append((use.begins_at, True, use.need))
        fits_at = since if free_mib >= 0 and free_sessions >= 0 else None
        for at, begins, held in sorted(steps):
            if at >= (before if fits_at is None else fits_at + run_s):
                break
            sign = -1 if begins else 1
            free_mib += sign * held.vram_mib
            free_sessions += sign * held.encoder_sessions
            if free_mib < 0 or free_sessions < 0:
                fits_at = None
            elif fits_at is None:
                fits_at = at
        return fits_at

    def has_at(self, instant: float, need: Need, others: Sequence[Need]) -> bool:
        """Return whether *need* can be had at *instant* beside what *others* get."""
        needs = [need, *others, *(use.need for use in self._uses if use.end.at > instant)]
        return (
            sum(one.vram_mib for one in needs) <= self._size.vram_mib
            and sum(one.encoder_sessions for one in needs) <= self._size.encoder_sessions
        )


class Planned(Protocol):
    """A job that will run later."""

    @property
    def needs(self) -> Mapping[Key, Need]:
        """What it takes of which pools."""
        ...

    def use_of(self, key: Key) -> Use:
        """Return what it will hold of one of these."""
        ...


Later = TypeVar("Later", bound=Planned)


def enter(planned: dict[Key, list[Later]], one: Later) -> None:
    """Add *one* to those that will run later, by the pools that they take of."""
    for key in one.needs:
        planned.setdefault(key, []).append(one)


class Start(NamedTuple):
    """Where a job could start, and when."""

    worker_id: WorkerId
    device: DeviceId
    needs: Mapping[Key, Need]
    """What it takes of which pools."""
    begin: End
    run_s: float


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
        self._ends: dict[LeaseKey, End] = {}
        self._by_room: list[tuple[Worker, Account]] | None = None
        self._without_card: list[Worker] = []
        self._spots_of: dict[tuple[Sort, int], list[Spot]] = {}
        self._free: dict[tuple[DeviceId, Need], float] = {}

    def until(self, job: LiveJob) -> float:
        """Return when an attempt of *job* that begins at once is expected to end; infinite where unknown."""
        run_s = self._footprints.run_s(job)
        return inf if run_s is None else self.now + run_s

    def end_of(self, job: LiveJob) -> End:
        """Return when the lease of *job* is expected to end."""
        lease = (job.id, job.token)
        known = self._ends.get(lease)
        if known is None:
            known = self._ends[lease] = self._expected(job)
        return known

    def _expected(self, job: LiveJob) -> End:
        end_at = self._footprints.end_at(job, self.now)
        if end_at is not None:
            return End(max(end_at, self.now), known=True)
        began_at = min(self._granted_at(job) if job.started_at is None else job.started_at, self.now)
        return End(began_at + max(ASSUMED_RUN_S, (self.now - began_at) * OUTLASTING), known=False)

    def _granted_at(self, job: LiveJob) -> float:
        """Return since when a lease is charged to a GPU; for one that is charged to none, now."""
        account = self._ledger.accounts.get(DeviceId(job.device or ""))
        charge = None if account is None else account.charges.get((job.id, job.token))
        return self.now if charge is None else charge.at

    def spots(self, job: LiveJob) -> list[Spot]:
        """Return the GPUs that *job* could ever have, each with a worker, the emptiest first.

        There are none while a worker without a GPU takes it too: then it is no GPU that it waits for.
        """
        sort = sort_of(job)
        known = self._spots_of.get((sort, job.vram_mib))
        if known is None:
            known = self._spots_of[sort, job.vram_mib] = list(islice(self._fitting(sort, job), SPOTS_MAX))
        return known

    def _fitting(self, sort: Sort, job: LiveJob) -> Iterator[Spot]:
        if self._by_room is None:
            self._by_room = sorted(
                (
                    (worker, account)
                    for worker in self._fleet.workers.values()
                    for account in self._ledger.reached_by(worker.capability.id)
                ),
                key=_charged_mib,
            )
            self._without_card = [one for one in self._fleet.workers.values() if takes_without_card(one)]
        if any(could_take(worker, sort) for worker in self._without_card):
            return
        for worker, account in self._by_room:
            if job.vram_mib <= account.bounds.usable_mib and could_take(worker, sort):
                yield Spot(worker, account.id)

    def best(
        self,
        job: LiveJob,
        spots: Iterable[Spot],
        planned: Mapping[Key, Sequence[Planned]],
        before: float = inf,
    ) -> Start | None:
        """Return where of *spots* the job could start soonest, if that is *before* an instant."""
        best: Start | None = None
        run_s = self.until(job) - self.now
        need = Need(job.vram_mib, ENCODER_SESSIONS[job.category])
        for worker, device in spots:
            if self._free_at(device, need) < before:
                needs = self.needs(job, worker, device)
                begin = self.soonest(needs, run_s, planned=planned, before=before)
                if begin is not None:
                    best, before = Start(worker.capability.id, device, needs, begin, run_s), begin.at
        return best

    def _free_at(self, device: DeviceId, need: Need) -> float:
        """Return from when on a GPU has room for *need*, if nobody else comes; infinite for never."""
        known = self._free.get((device, need))
        if known is None:
            fits_at = self.pool(Key("gpu", device)).fits_at(need, self.now, inf, Others())
            known = self._free[device, need] = inf if fits_at is None else fits_at
        return known

    def soonest(
        self,
        needs: Mapping[Key, Need],
        run_s: float,
        *,
        planned: Mapping[Key, Sequence[Planned]],
        without: Collection[LeaseKey] = (),
        before: float = inf,
    ) -> End | None:
        """Return when all of *needs* can be had for *run_s*; None for never, or for not *before* an instant.

        *planned*, by the pools that they take of, come first; the leases *without* are taken to be gone.
        """
        others: dict[Key, Others] = {}
        at, since = self.now, -inf
        while since < at:
            since = at
            for key, need in needs.items():
                if key not in others:
                    others[key] = Others([one.use_of(key) for one in planned.get(key, ())], without)
                fits_at = self.pool(key).fits_at(need, at, run_s, others[key], before)
                if fits_at is None:
                    return None
                at = fits_at
        sure = all(self.pool(key).is_sure(need, at, run_s, others[key]) for key, need in needs.items())
        return End(at, sure)

    # ---- pools ----

    def needs(self, job: LiveJob, worker: Worker, device: DeviceId | None) -> dict[Key, Need]:
        """Return what *job* takes of which pools when *worker* gets it; without a GPU where there is none."""
        host, limits = worker.capability.host, self._fleet.limits
        taken: dict[Key, Need] = {}
        need = need_of(job.category, job.vram_mib)
        if device is not None and need is not None:
            taken[Key("gpu", device)] = need
        taken[Key("worker", worker.capability.id)] = ONE
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
                return Pool(Need(worker.capability.slots, 0), map(self._place, self._leased([worker])))
            case "host":
                limit = self._fleet.limits.host[Scope(key.scope)]
                leased = self._leased(self._fleet.on_host(key.name))
            case _:
                limit = self._fleet.limits.fleet[Scope(key.scope)]
                leased = self._leased(self._fleet.workers.values())
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
                end = self.end_of(job)
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
        return Use(self.end_of(job), ONE, (job.id, job.token))

    def _leased(self, workers: Iterable[Worker]) -> list[LiveJob]:
        return [self._jobs[job_id] for worker in workers for job_id in worker.leases]


def _charged_mib(spot: tuple[Worker, Account]) -> tuple[int, DeviceId]:
    """Order GPUs by how much is left of them: the most first."""
    account = spot[1]
    return (account.allocated.vram_mib - account.bounds.usable_mib, account.id)
