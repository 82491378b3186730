"""For whom a GPU is kept, judged at every step: who is let pass is gone in time, or leaves enough beside."""

from collections.abc import Iterator

from callsheet_scheduler.domain.device import SOFTWARE, DeviceId, LeaseKey
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import LEASED, JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.outlook import Outlook
from callsheet_scheduler.domain.reservations import Reservation


class Promises:
    """Judges the reservations of a leadership by what its engine expects."""

    def __init__(self) -> None:
        self.passers = 0
        """Leases that were let pass and judged."""
        self._judged: set[tuple[JobId, LeaseKey]] = set()

    def broken(self, engine: Engine, now: float) -> str | None:
        """Return whose promise will not be kept because of somebody who was let pass; None where all will."""
        outlook = Outlook(engine.fleet, engine.ledger, engine.queue.jobs, engine.footprints, now)
        for one in engine.backfill.reservations.kept:
            for job, worker in self._passers(engine, one):
                card = engine.ledger.accounts.get(DeviceId(job.device or ""))
                if card is not None and card.read_at == now:
                    continue  # it was perhaps granted before that reading, in the same step
                self.passers += 1
                if self._is_in_the_way(outlook, one, job, worker):
                    return f"{job.id} was let pass and is in the way of {one.job.id}"
        return None

    def _passers(self, engine: Engine, one: Reservation) -> Iterator[tuple[LiveJob, Worker]]:
        """Yield who was let pass since the last step and works, each with its worker."""
        for lease in one.passed:
            job = engine.queue.jobs.get(lease[0])
            if (one.job.id, lease) not in self._judged and job is not None and job.state in LEASED:
                self._judged.add((one.job.id, lease))
                worker = engine.fleet.workers.get(WorkerId(job.worker_id or ""))
                if worker is not None and job.token == lease[1]:
                    yield job, worker

    @staticmethod
    def _is_in_the_way(outlook: Outlook, one: Reservation, job: LiveJob, worker: Worker) -> bool:
        """Return whether *job*, just granted, leaves too little of something at the promised instant."""
        if outlook.until(job) <= one.at:
            return False
        needs = outlook.needs(job, worker, None if job.device == SOFTWARE else DeviceId(job.device or ""))
        beside = outlook.end_of(job).at <= one.at
        return any(
            not outlook.pool(key).has_at(one.at, one.needs[key], [needs[key]] if beside else [])
            for key in one.needs.keys() & needs.keys()
        )
