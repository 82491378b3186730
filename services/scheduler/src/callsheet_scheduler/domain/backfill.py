"""Which GPU job is granted next, and where: the most urgent that fits and delays nobody it must not delay."""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import SOFTWARE
from callsheet_scheduler.domain.fleet import Fleet
from callsheet_scheduler.domain.footprint import Footprints
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.lanes import Place
from callsheet_scheduler.domain.ledger import Ledger
from callsheet_scheduler.domain.limits import Pauses
from callsheet_scheduler.domain.patience import BackfillRules, Policy
from callsheet_scheduler.domain.placing import BOUNDLESS_MIB, Spot, could_run, room_for, spot_for
from callsheet_scheduler.domain.queue import Queue
from callsheet_scheduler.domain.reservations import Reservations

Row = tuple[Place, Category, Sequence[Place]]
"""The first place of a row, its lane, and the places."""


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

    def choices(self, now: float) -> Iterator[tuple[LiveJob, Spot, int]]:
        """Yield who is granted, where, and by which session; it has its lease before the next is asked for.

        In one pass there is only ever less room, so who got none is not looked at again: unless a job
        was granted that a GPU was kept for.
        """
        if not self.reservations.kept and not any(self._queue.gpu_lanes.values()):
            return
        self.reservations.follow(now)
        rows: list[Row] = self._rows(now)
        while rows and self._fleet.ready_for_gpu_jobs():
            place, category, places = heappop(rows)
            job = self._queue.jobs[place[2]]
            spot = spot_for(self._fleet, self._ledger, job, now, self.reservations.bars(job, now))
            if spot is not None and spot.worker.session is not None:
                yield job, spot, spot.worker.session
                device = None if spot.device == SOFTWARE else spot.device
                if self.reservations.granted(job, spot.worker, device, now):
                    rows = self._rows(now)
                elif places:
                    heappush(rows, (places[0], category, places))
            elif self._policy is Policy.FIRST_COME and could_run(self._fleet, self._ledger, job):
                rows = [row for row in rows if row[1] is not category]
                heapify(rows)
        if any(self._queue.gpu_lanes.values()):
            self.reservations.make(now)

    def _rows(self, now: float) -> list[Row]:
        """Return as a heap the rows of the lanes that somebody could be granted of."""
        rows: list[Row] = []
        if not self._fleet.ready_for_gpu_jobs():
            return rows
        for category, lane in self._queue.gpu_lanes.items():
            for kind in lane.kinds():
                if self._pauses.holding(category, kind[0]) is None:
                    room_mib: int | None = BOUNDLESS_MIB
                    if self._policy is not Policy.FIRST_COME:
                        room_mib = room_for(self._fleet, self._ledger, (category, *kind), now)
                    if room_mib is not None:
                        rows += ((one[0], category, one) for one in lane.rows_for(kind, room_mib))
        heapify(rows)
        return rows
