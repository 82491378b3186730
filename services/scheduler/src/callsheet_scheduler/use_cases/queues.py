"""The scopes of the queue: pausing them, and limiting how many of their jobs run at once."""

from dataclasses import dataclass
from typing import Final

from callsheet.catalog import Category
from callsheet.errors import InvalidError, NotFoundError
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.domain.limits import ALL, SCOPE_OF, Limits, Pause, Scope
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store import control
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.use_cases.job_types import JobTypes

HOST_LIMIT_MAX: Final = 10_000
FLEET_LIMIT_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A scope as it stands."""

    scope: Scope
    pause: Pause | None
    host_limit: int | None
    fleet_limit: int | None
    counts: dict[JobState, int]
    """Live jobs by state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLimits:
    """What to change: a number sets a limit, *clear* lifts it, neither leaves it."""

    host: int | None = None
    fleet: int | None = None
    clear_host: bool = False
    clear_fleet: bool = False


class Queues:
    """Steers whole scopes."""

    def __init__(self, leadership: Leadership, types: JobTypes) -> None:
        self._leadership = leadership
        self._types = types

    def all(self) -> list[Queue]:
        """Return every scope: everything, the categories, the job types by name."""
        engine = self._leadership.current().engine
        return [_queue(engine, scope) for scope in self._scopes()]

    async def pause(self, name: str, *, by: str) -> Queue:
        """Give no more leases to jobs of a scope; return when none is on its way any more.

        Raises:
            NotFoundError: There is no such scope.
        """
        scope = self._scope(name)
        term = self._leadership.current()
        pause = Pause(scope=scope, at=term.commits.now(), by=by or "admin")

        async def keep(connection: Own) -> None:
            await control.save_pause(connection, pause)
            if scope not in term.engine.pauses.by_scope:
                term.engine.pause_scope(pause)

        await term.write_control(keep)
        await term.commits.quiet()
        return _queue(term.engine, scope)

    async def resume(self, name: str) -> Queue:
        """End the pause of a scope.

        Raises:
            NotFoundError: There is no such scope.
        """
        scope = self._scope(name)
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            await control.delete_pause(connection, scope)
            term.engine.resume_scope(scope, term.commits.now())
            term.commits.flush()

        await term.write_control(keep)
        return _queue(term.engine, scope)

    async def limit(self, name: str, new: NewLimits) -> Queue:
        """Change the limits of a scope; return when no lease above them is on its way any more.

        Raises:
            InvalidError: A limit is out of its range, or is set and lifted at once.
            NotFoundError: There is no such scope.
        """
        scope = self._scope(name)
        _check(new.host, clear=new.clear_host, most=HOST_LIMIT_MAX, field="host_limit")
        _check(new.fleet, clear=new.clear_fleet, most=FLEET_LIMIT_MAX, field="fleet_limit")
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            limits = _changed(term.engine.limits, scope, new)
            await control.save_limit(connection, scope, limits)
            term.engine.set_limits(limits, term.commits.now())
            term.commits.flush()

        await term.write_control(keep)
        await term.commits.quiet()
        return _queue(term.engine, scope)

    def _scopes(self) -> list[Scope]:
        return [ALL, *SCOPE_OF.values(), *(Scope(known.name) for known in self._types.all())]

    def _scope(self, name: str) -> Scope:
        scopes = self._scopes()
        if name not in scopes:
            message = f"there is no scope {name!r}; there are {', '.join(scopes)}"
            raise NotFoundError(message)
        return Scope(name)


def _changed(limits: Limits, scope: Scope, new: NewLimits) -> Limits:
    if new.host is not None or new.clear_host:
        limits = limits.with_host(scope, new.host)
    if new.fleet is not None or new.clear_fleet:
        limits = limits.with_fleet(scope, new.fleet)
    return limits


def _check(limit: int | None, *, clear: bool, most: int, field: str) -> None:
    if limit is None:
        return
    if clear:
        message = f"cannot be set and lifted at once; leave out clear_{field} to set it"
        raise InvalidError(message, field=field)
    if not 0 <= limit <= most:
        message = f"must be from 0 to {most}, not {limit}"
        raise InvalidError(message, field=field)


def _queue(engine: Engine, scope: Scope) -> Queue:
    counts: dict[JobState, int] = {}
    for (state, job_type, category), jobs in engine.queue.counts.items():
        if _lies_in(scope, job_type, category):
            counts[state] = counts.get(state, 0) + jobs
    return Queue(
        scope=scope,
        pause=engine.pauses.by_scope.get(scope),
        host_limit=engine.fleet.limits.host.get(scope),
        fleet_limit=engine.fleet.limits.fleet.get(scope),
        counts=counts,
    )


def _lies_in(scope: Scope, job_type: str, category: Category) -> bool:
    return scope in (ALL, SCOPE_OF[category], job_type)
