"""GPUs that are kept for jobs which did not fit for longer than their patience lasts.

A reservation is a promise of one GPU from one instant on. It charges nothing and is not stored: the next
leader finds it again. Less urgent jobs are placed in its way only if they are expected to end before that
instant, or if there is room beside. The instant follows what the leases do that were there before; of those
that were let pass none can put it off, so that wrong guesses do not add up.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import Final

from callsheet_scheduler.domain.device import DeviceId, LeaseKey, Need
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.footprint import Footprints
from callsheet_scheduler.domain.job import LEASED, JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.lanes import Place, place_of
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Pauses
from callsheet_scheduler.domain.outlook import End, Key, Outlook, Use, enter
from callsheet_scheduler.domain.patience import BackfillRules, Policy, waits_since
from callsheet_scheduler.domain.placing import Bars, Spot, could_take, sort_of
from callsheet_scheduler.domain.queue import Queue

#: Of the GPUs that a job could run on, the share that may be reserved, at least one.
RESERVED_SHARE: Final = 0.25

#: Reservations at once; they are looked at in every pass.
RESERVATIONS_MAX: Final = 32

#: Seconds between two looks at what the reservations promise, and for jobs whose patience is at its end.
REVIEW_S: Final = 1.0

#: Another GPU has to be sooner by so many seconds to be taken instead.
WORTH_MOVING_S: Final = 5.0


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """A GPU that is kept for a job."""

    job: LiveJob
    place: Place
    worker_id: WorkerId
    device: DeviceId
    needs: Mapping[Key, Need]
    """What the job will take of which pools."""
    at: float
    """The promise: who passes has to be gone by then."""
    expected: End
    """When it is expected to start as things are."""
    run_s: float
    passed: set[LeaseKey] = field(default_factory=set[LeaseKey])
    """Less urgent leases that were granted meanwhile and hold something that the job needs."""

    @property
    def until(self) -> float:
        """When the job is expected to end."""
        return max(self.at, self.expected.at) + self.run_s

    def use_of(self, key: Key) -> Use:
        """Return what the job will hold, as who comes after it has to see it."""
        begins_at = max(self.at, self.expected.at)
        lease = (self.job.id, self.job.token)
        return Use(End(self.until, self.expected.known), self.needs[key], lease, begins_at)


class Reservations:
    """All reservations, the most urgent first."""

    def __init__(
        self,
        rules: BackfillRules,
        fleet: Fleet,
        ledger: Ledger,
        queue: Queue,
        pauses: Pauses,
        footprints: Footprints,
    ) -> None:
        self.kept: list[Reservation] = []
        self._by_key: dict[Key, list[Reservation]] = {}
        """The same by the pools that they take of."""
        self._rules = rules
        self._fleet = fleet
        self._ledger = ledger
        self._queue = queue
        self._pauses = pauses
        self._footprints = footprints
        self._outlook: Outlook | None = None
        self._pause_s = min(REVIEW_S, rules.patience_s)
        self._follow_at = self._make_at = float("-inf")

    # ---- what they allow ----

    def bars(self, job: LiveJob, now: float) -> Bars | None:
        """Return what tells in the way of which reservation *job* would be where; None where of none."""
        place = place_of(job)
        if not self.kept or self.kept[0].place >= place:
            return None
        outlook = self.outlook(now)
        until = outlook.until(job)

        def bar(worker: Worker, device: DeviceId | None) -> Reservation | None:
            for key, need in outlook.needs(job, worker, device).items():
                before = [one for one in self._by_key.get(key, ()) if one.place < place]
                for one in before:
                    if until > one.at:
                        reserved = [other.needs[key] for other in before if _meets(other, one)]
                        if not outlook.pool(key).has_at(one.at, need, reserved):
                            return one
            return None

        return bar

    def granted(self, job: LiveJob, worker: Worker, device: DeviceId | None, now: float) -> bool:
        """*job* has a lease; return whether it had a reservation, so that others have a chance again."""
        if not self.kept:
            self._outlook = None
            return False
        others = [one for one in self.kept if one.job is not job]
        had_one = len(others) < len(self.kept)
        if had_one:
            self._keep_only(others)
        place = place_of(job)
        for key in self.outlook(now).needs(job, worker, device):
            for one in self._by_key.get(key, ()):
                if one.place < place:
                    one.passed.add((job.id, job.token))
        self._outlook = None
        return had_one

    # ---- how they come and go ----

    def follow(self, now: float) -> None:
        """Let the reservations follow what has changed; to be called before jobs are granted."""
        self._outlook = None
        left = self._queue.left_gpu_lanes()
        if self._pauses.by_scope or not left.isdisjoint(one.job.id for one in self.kept):
            self._keep_only([one for one in self.kept if self._waits(one, left)])
        if self.kept and now >= self._follow_at:
            self._follow_at = now + self._pause_s
            kept = self.kept
            self._keep_only(())
            for one in kept:
                if self._follow(one, now):
                    self._keep(one)
            self._keep_only(self.kept)

    def make(self, now: float) -> None:
        """Reserve for those whose patience is at its end; to be called when nobody else can be granted."""
        if self._rules.policy in {Policy.EASY, Policy.FULL_RESERVATION} and now >= self._make_at:
            self._make_at = now + self._pause_s
            self._make(now)

    def _keep(self, one: Reservation) -> None:
        self.kept.append(one)
        enter(self._by_key, one)

    def _keep_only(self, kept: Iterable[Reservation]) -> None:
        self.kept, self._by_key = sorted(kept, key=_place), {}
        for one in self.kept:
            enter(self._by_key, one)

    def _waits(self, one: Reservation, left: Collection[JobId]) -> bool:
        """Return whether a job still waits where it did; it may have come back, of those that *left*."""
        job = one.job
        if job.id in left and not (job in self._queue.gpu_lanes[job.category] and place_of(job) == one.place):
            return False
        return self._pauses.hold(job) is None

    def _follow(self, one: Reservation, now: float) -> bool:
        """Let a reservation follow the leases, or move; return False where it has no meaning any more."""
        outlook = self.outlook(now)
        worker = self._fleet.workers.get(one.worker_id)
        if worker is None or not self._stands(one, worker):
            return False
        shares = self._rules.policy is Policy.FULL_RESERVATION
        if not shares and any(other.device == one.device for other in self.kept):
            return False  # a more urgent one has moved there
        one.needs = outlook.needs(one.job, worker, one.device)  # limits come and go
        latest = outlook.soonest(one.needs, one.run_s, planned=self._by_key)
        soonest = latest
        if one.passed:
            soonest = outlook.soonest(one.needs, one.run_s, planned=self._by_key, without=one.passed)
        if latest is None or soonest is None:
            return False
        late = one.at < max(soonest.at, now)
        if soonest.at > now:
            one.at = max(one.at, soonest.at)
        one.expected, one.at = latest, min(one.at, latest.at)
        if late:
            other = self._best(one.job, outlook, latest.at - WORTH_MOVING_S)
            if other is not None:
                self._keep(other)
                return False
        one.passed = {lease for lease in one.passed if self._lives(lease)}
        return True

    def _stands(self, one: Reservation, worker: Worker) -> bool:
        """Return whether *worker* could still have the job on that GPU."""
        account = self._ledger.accounts.get(one.device)
        sort = sort_of(one.job)
        return account is not None and account.serves(one.worker_id) and could_take(worker, sort)

    def _lives(self, lease: LeaseKey) -> bool:
        job = self._queue.jobs.get(lease[0])
        leased = job is not None and job.token == lease[1] and job.state in LEASED
        return leased or lease in self._ledger.lingering

    def _make(self, now: float) -> None:
        """Reserve for those whose patience is at its end, the most urgent first.

        Of each row of the lanes the first is looked at, and the next only where that got a reservation.
        """
        rows = [
            (places[0], 0, number, places)
            for number, places in enumerate(
                places
                for category, lane in self._queue.gpu_lanes.items()
                for (job_type, _), places in lane.rows()
                if self._pauses.holding(category, job_type) is None
            )
        ]
        heapify(rows)
        served = {one.job.id for one in self.kept}
        while rows and len(self.kept) < RESERVATIONS_MAX:
            place, index, number, places = heappop(rows)
            if (place[2] in served or self._reserve(place, now)) and index + 1 < len(places):
                heappush(rows, (places[index + 1], index + 1, number, places))
        self._keep_only(self.kept)

    def _reserve(self, place: Place, now: float) -> bool:
        job = self._queue.jobs[place[2]]
        if now - waits_since(job) < self._rules.patience_of(job):
            return False
        best = self._best(job, self.outlook(now))
        if best is None or best.at <= now:
            return False
        self._keep(best)
        return True

    def _best(self, job: LiveJob, outlook: Outlook, before: float = inf) -> Reservation | None:
        """Return a reservation of the GPU on which *job* fits soonest; None: it can have none *before*."""
        start = outlook.best(job, self._spots(job, outlook), self._by_key, before)
        if start is None:
            return None
        return Reservation(
            job=job,
            place=place_of(job),
            worker_id=start.worker_id,
            device=start.device,
            needs=start.needs,
            at=start.begin.at,
            expected=start.begin,
            run_s=start.run_s,
        )

    def _spots(self, job: LiveJob, outlook: Outlook) -> list[Spot]:
        """Return where *job* may have a reservation."""
        spots = outlook.spots(job)
        if self._rules.policy is Policy.FULL_RESERVATION:
            return spots
        reserved = {one.device for one in self.kept}
        devices = {device for _, device in spots}
        if len(devices & reserved) >= ceil(RESERVED_SHARE * len(devices)):
            return []
        return [spot for spot in spots if spot[1] not in reserved]

    def outlook(self, now: float) -> Outlook:
        """Return what is expected now; to be forgotten when leases begin or end."""
        if self._outlook is None or self._outlook.now != now:
            self._outlook = Outlook(self._fleet, self._ledger, self._queue.jobs, self._footprints, now)
        return self._outlook


def _meets(other: Reservation, one: Reservation) -> bool:
    """Say whether *other* holds what it needs when *one* begins; the run of *one* itself may take no time."""
    return other is one or other.at <= one.at < other.until


def _place(one: Reservation) -> Place:
    return one.place
