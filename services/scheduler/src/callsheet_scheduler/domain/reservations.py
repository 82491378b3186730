"""GPUs that are kept for jobs which did not fit for longer than their patience lasts.

A reservation is a promise of one GPU from one instant on. It charges nothing and is not stored: the next
leader finds it again. Less urgent jobs are placed in its way only if they are expected to end before that
instant, or if there is room beside. The instant follows what the leases do that were there before; of those
that were let pass none can put it off, so that wrong guesses do not add up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import Final

from callsheet_scheduler.domain.device import DeviceId, LeaseKey, Need
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.footprint import Footprints
from callsheet_scheduler.domain.job import LEASED, LiveJob, WorkerId
from callsheet_scheduler.domain.lanes import Place, place_of
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Pauses
from callsheet_scheduler.domain.outlook import End, Key, Outlook, Use
from callsheet_scheduler.domain.patience import BackfillRules, Policy, waits_since
from callsheet_scheduler.domain.placing import Bars, could_take
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
        before = [one for one in self.kept if one.place < place]
        if not before:
            return None
        outlook = self.outlook(now)
        until = outlook.until(job)
        met = [one for one in before if until > one.at]
        return self._bars(job, before, met, outlook) if met else None

    @staticmethod
    def _bars(job: LiveJob, before: list[Reservation], met: list[Reservation], outlook: Outlook) -> Bars:
        def bar(worker: Worker, device: DeviceId | None) -> Reservation | None:
            needs = outlook.needs(job, worker, device)
            for one in met:
                for key in one.needs.keys() & needs.keys():
                    if not outlook.pool(key).has_at(one.at, needs[key], _reserved(key, before, one.at)):
                        return one
            return None

        return bar

    def granted(self, job: LiveJob, worker: Worker, device: DeviceId | None, now: float) -> None:
        """*job* has a lease."""
        if not self.kept:
            return
        self.kept = [one for one in self.kept if one.job is not job]
        needs, place = self.outlook(now).needs(job, worker, device), place_of(job)
        for one in self.kept:
            if one.place < place and one.needs.keys() & needs.keys():
                one.passed.add((job.id, job.token))
        self._outlook = None

    # ---- how they come and go ----

    def follow(self, now: float) -> None:
        """Let the reservations follow what has changed; to be called before jobs are granted."""
        self._outlook = None
        if self.kept:
            self.kept = [one for one in self.kept if self._waits(one)]
        if self.kept and now >= self._follow_at:
            self._follow_at = now + self._pause_s
            kept, self.kept = self.kept, []
            for one in kept:
                if self._follow(one, now):
                    self.kept.append(one)
            self.kept.sort(key=_place)

    def make(self, now: float) -> None:
        """Reserve for those whose patience is at its end; to be called when nobody else can be granted."""
        if self._rules.policy in {Policy.EASY, Policy.FULL_RESERVATION} and now >= self._make_at:
            self._make_at = now + self._pause_s
            self._outlook = None
            self._make(now)

    def _waits(self, one: Reservation) -> bool:
        job = one.job
        return (
            job in self._queue.gpu_lanes[job.category]
            and place_of(job) == one.place
            and self._pauses.hold(job) is None
        )

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
        latest = outlook.soonest(one.needs, one.run_s, planned=self.kept)
        soonest = latest
        if one.passed:
            soonest = outlook.soonest(one.needs, one.run_s, planned=self.kept, without=one.passed)
        if latest is None or soonest is None:
            return False
        late = one.at < max(soonest.at, now)
        if soonest.at > now:
            one.at = max(one.at, soonest.at)
        one.expected, one.at = latest, min(one.at, latest.at)
        if late:
            other = self._best(one.job, outlook)
            if other is not None and other.expected.at < latest.at - WORTH_MOVING_S:
                self.kept.append(other)
                return False
        one.passed = {lease for lease in one.passed if self._lives(lease)}
        return True

    def _stands(self, one: Reservation, worker: Worker) -> bool:
        """Return whether *worker* could still have the job on that GPU."""
        account = self._ledger.accounts.get(one.device)
        sort = (one.job.category, one.job.type, one.job.root)
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
        self.kept.sort(key=_place)

    def _reserve(self, place: Place, now: float) -> bool:
        job = self._queue.jobs[place[2]]
        if now - waits_since(job) < self._rules.patience_of(job):
            return False
        best = self._best(job, self.outlook(now))
        if best is None or best.at <= now:
            return False
        self.kept.append(best)
        return True

    def _best(self, job: LiveJob, outlook: Outlook) -> Reservation | None:
        """Return a reservation of the GPU on which *job* fits soonest, if it can have one and needs it."""
        best: Reservation | None = None
        run_s = outlook.until(job) - outlook.now
        for worker, device in self._spots(job, outlook):
            needs = outlook.needs(job, worker, device)
            before = inf if best is None else best.at
            expected = outlook.soonest(needs, run_s, planned=self.kept, before=before)
            if expected is not None:
                best = Reservation(
                    job=job,
                    place=place_of(job),
                    worker_id=worker.capability.id,
                    device=device,
                    needs=needs,
                    at=expected.at,
                    expected=expected,
                    run_s=run_s,
                )
        return best

    def _spots(self, job: LiveJob, outlook: Outlook) -> list[tuple[Worker, DeviceId]]:
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


def _reserved(key: Key, reservations: list[Reservation], instant: float) -> list[Need]:
    """Return what those hold of a pool at *instant* for whom it is reserved."""
    return [one.needs[key] for one in reservations if key in one.needs and one.at <= instant < one.until]


def _place(one: Reservation) -> Place:
    return one.place
