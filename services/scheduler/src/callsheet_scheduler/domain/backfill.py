"""Which GPU job is granted next, and where: the most urgent that fits and delays nobody it must not delay."""

from collections.abc import Iterable, Iterator

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import SOFTWARE
from callsheet_scheduler.domain.fleet import Fleet
from callsheet_scheduler.domain.footprint import Footprints
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.lanes import Place
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Pauses
from callsheet_scheduler.domain.patience import BackfillRules, Policy
from callsheet_scheduler.domain.placing import Spot, could_run, room_for, spot_for
from callsheet_scheduler.domain.queue import Queue
from callsheet_scheduler.domain.reservations import Reservations
from callsheet_scheduler.domain.sized_lane import SizedLane


class Backfill:
    """Chooses among the GPU jobs that wait. Both GPU categories share the cards, so they share one order."""

    def __init__(
        self,
        rules: BackfillRules,
        fleet: Fleet,
        ledger: Ledger,
        queue: Queue,
        pauses: Pauses,
        footprints: Footprints,
    ) -> None:
        self.reservations = Reservations(rules, fleet, ledger, queue, pauses, footprints)
        self._policy = rules.policy
        self._fleet = fleet
        self._ledger = ledger
        self._queue = queue
        self._pauses = pauses

    def begin(self, now: float) -> None:
        """A pass begins."""
        if self.reservations.kept:
            self.reservations.follow(now)

    def end(self, now: float) -> None:
        """Nobody else can be granted in this pass."""
        if any(self._queue.gpu_lanes.values()):
            self.reservations.make(now)

    def next(self, now: float) -> tuple[LiveJob, Spot] | None:
        """Return the next job, and where it runs."""
        if not self._fleet.ready_for_gpu_jobs():
            return None
        for place in sorted(self._heads(now)):
            job = self._queue.jobs[place[2]]
            bars = self.reservations.bars(job, now)
            spot = spot_for(self._fleet, self._ledger, job, now, bars)
            if spot is not None:
                return job, spot
        return None

    def granted(self, job: LiveJob, spot: Spot, now: float) -> None:
        """The job has its lease."""
        self.reservations.granted(job, spot.worker, None if spot.device == SOFTWARE else spot.device, now)

    def _heads(self, now: float) -> Iterator[Place]:
        """Yield the jobs that could be next; for each there is room somewhere."""
        for category, lane in self._queue.gpu_lanes.items():
            foremost = self._foremost(category, lane) if self._policy is Policy.FIRST_COME else None
            for kind in lane.kinds():
                if self._pauses.holding(category, kind[0]) is None:
                    room_mib = room_for(self._fleet, self._ledger, (category, *kind), now)
                    heads: Iterable[Place] = () if room_mib is None else lane.heads(kind, room_mib)
                    yield from heads if foremost is None else (head for head in heads if head == foremost)

    def _foremost(self, category: Category, lane: SizedLane) -> Place | None:
        """Return the first place of *lane* whose job could run if the fleet were idle."""
        heads = sorted(
            places[0] for kind, places in lane.rows() if self._pauses.holding(category, kind[0]) is None
        )
        jobs = self._queue.jobs
        return next((head for head in heads if could_run(self._fleet, self._ledger, jobs[head[2]])), None)
