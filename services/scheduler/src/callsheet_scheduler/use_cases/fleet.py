"""The workers as an administrator sees and steers them."""

from typing import Final

from callsheet.errors import InvalidError, NotFoundError, OverloadedError
from callsheet_scheduler.domain.fleet import Fleet, Worker
from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.domain.limits import Limits
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store import control
from callsheet_scheduler.store.connection import Own

#: The longest grace of a drain, in seconds.
GRACE_MAX_S: Final = 30 * 24 * 3600.0

#: Workers that may be drained at once, those that never come back included.
DRAINED_MAX: Final = 10_000


class Workers:
    """Reads the fleet from the leader's memory, and drains workers."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    def all(self) -> list[Worker]:
        """Return every worker that is connected, holds a lease, or is drained, by identity."""
        fleet = self._leadership.current().engine.fleet
        names = {*fleet.workers, *fleet.drained}
        return [_worker(fleet, name) for name in sorted(names)]

    def limits(self) -> Limits:
        """Return the limits in force."""
        return self._leadership.current().engine.fleet.limits

    async def drain(self, name: str, *, grace_s: float | None, by: str) -> Worker:
        """Give a worker no more leases; return when none is on its way any more.

        *grace_s* says how long its attempts may go on; None: as long as they take.

        Raises:
            InvalidError: The grace is out of its range.
            NotFoundError: There is no such worker.
        """
        if grace_s is not None and not 0 <= grace_s <= GRACE_MAX_S:
            message = f"must be from 0 to {GRACE_MAX_S:.0f} seconds, not {grace_s:g}"
            raise InvalidError(message, field="grace")
        term = self._leadership.current()
        fleet = term.engine.fleet
        worker_id = _known(fleet, name)
        if worker_id not in fleet.drained and len(fleet.drained) >= DRAINED_MAX:
            message = f"{DRAINED_MAX} workers are drained already; resume those that are gone"
            raise OverloadedError(message)
        now = term.commits.now()

        async def keep(connection: Own) -> None:
            await control.save_drain(connection, worker_id, grace_s=grace_s, at=now, by=by or "admin")
            term.engine.set_drain(worker_id, draining=True, grace_s=grace_s, now=now)
            term.commits.flush()

        await term.write_control(keep)
        await term.commits.quiet()
        return _worker(fleet, worker_id)

    async def resume(self, name: str) -> Worker:
        """Let a drained worker work again.

        Raises:
            NotFoundError: There is no such worker.
        """
        term = self._leadership.current()
        fleet = term.engine.fleet
        worker_id = _known(fleet, name)

        async def keep(connection: Own) -> None:
            await control.delete_drain(connection, worker_id)
            term.engine.set_drain(worker_id, draining=False, grace_s=None, now=term.commits.now())
            term.commits.flush()

        await term.write_control(keep)
        return fleet.workers.get(worker_id) or Worker.absent(worker_id)


def _known(fleet: Fleet, name: str) -> WorkerId:
    worker_id = WorkerId(name)
    if worker_id not in fleet.workers and worker_id not in fleet.drained:
        message = f"there is no worker {name!r}; `callsheet fleet list` shows those there are"
        raise NotFoundError(message)
    return worker_id


def _worker(fleet: Fleet, worker_id: WorkerId) -> Worker:
    """Return the worker, as nothing but its name where it is drained and not here."""
    return fleet.workers.get(worker_id) or Worker.absent(worker_id, draining=True)
