"""When a waiting GPU job is expected to start.

Those before it are planned first, each where it fits soonest, as runs of the past tell; those behind it are
taken not to delay it, which holds from the end of its patience on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet_scheduler.domain.desk import Desk
from callsheet_scheduler.domain.device import Need
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.domain.lanes import place_of
from callsheet_scheduler.domain.outlook import End, Key, Outlook, Planned, Use, enter

#: With more jobs before it nobody can tell when a job starts.
AHEAD_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job that is expected to run from one instant to another."""

    job: LiveJob
    needs: Mapping[Key, Need]
    begin: End
    until: float

    def use_of(self, key: Key) -> Use:
        """Return what it will hold of a pool."""
        lease = (self.job.id, self.job.token)
        return Use(End(self.until, known=self.begin.known), self.needs[key], lease, self.begin.at)


def predicted_start(desk: Desk, job: LiveJob, now: float) -> float | None:
    """Return when *job*, which waits for its turn and for a GPU, is expected to start; None: nobody knows."""
    lane = desk.queue.gpu_lanes.get(job.category)
    if lane is None or job not in lane:
        return None
    reserved = {one.job.id: one for one in desk.backfill.reservations.kept}
    ahead = _ahead(desk, job)
    if ahead is None:
        return None
    outlook = Outlook(desk.fleet, desk.ledger, desk.queue.jobs, desk.footprints, now)
    planned: dict[Key, list[Planned]] = {}
    for kept in reserved.values():
        if kept.place < place_of(job):
            enter(planned, kept)
    for one in ahead:
        plan = None if one.id in reserved else _plan(outlook, one, planned)
        if plan is not None:
            enter(planned, plan)
    found = _plan(outlook, job, planned)
    return found.begin.at if found is not None and found.begin.known else None


def _ahead(desk: Desk, job: LiveJob) -> list[LiveJob] | None:
    """Return the jobs before *job* that are not paused, in order; None for more than can be planned."""
    lanes = desk.queue.gpu_lanes.items()
    if sum(lane.position(job) - 1 for _, lane in lanes) > AHEAD_MAX:
        return None
    place = place_of(job)
    places = [
        other
        for category, lane in lanes
        for kind, row in lane.rows()
        if desk.pauses.holding(category, kind[0]) is None
        for other in row[:AHEAD_MAX]
        if other < place
    ]
    return [desk.queue.jobs[other[2]] for other in sorted(places)]


def _plan(outlook: Outlook, job: LiveJob, planned: Mapping[Key, Sequence[Planned]]) -> Plan | None:
    start = outlook.best(job, outlook.spots(job), planned)
    if start is None:
        return None
    return Plan(job=job, needs=start.needs, begin=start.begin, until=start.begin.at + start.run_s)
