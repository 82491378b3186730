"""Keeps schedules as people want them."""

import re
from dataclasses import dataclass, replace
from typing import Final

from callsheet.errors import ConflictError, InvalidError, NotFoundError, OverloadedError
from callsheet_scheduler.domain.cron import check_cron
from callsheet_scheduler.domain.schedules import CatchUp, Schedule, Template
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.schedules import delete_schedule, save_schedule
from callsheet_scheduler.use_cases.jobs import Accepted, Jobs, Submission

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SCHEDULES_MAX: Final = 1000
JITTER_MAX_S: Final = 24 * 3600.0
CATCH_UP_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody says of a schedule; what is None is as before, and when it is new the default."""

    cron: str | None = None
    time_zone: str | None = None
    jitter_s: float | None = None
    catch_up: CatchUp | None = None
    catch_up_max: int | None = None
    template: Template | None = None


class Schedules:
    """Reads the leader's timetable, and changes it after the commit."""

    def __init__(self, leadership: Leadership, jobs: Jobs) -> None:
        self._leadership = leadership
        self._jobs = jobs

    def all(self) -> list[tuple[Schedule, float | None]]:
        """Return every schedule by name, each with when it is next due."""
        timetable = self._leadership.current().timetable
        return [(timetable.by_name[name], timetable.next_due(name)) for name in sorted(timetable.by_name)]

    def get(self, name: str) -> tuple[Schedule, float | None]:
        """Return a schedule, and when it is next due.

        Raises:
            NotFoundError: There is none.
        """
        term = self._leadership.current()
        return _known(term, name), term.timetable.next_due(name)

    async def add(self, name: str, wanted: Wanted) -> None:
        """Keep a new schedule; the same once more is no error.

        Raises:
            InvalidError: It is not acceptable; names the field.
            ConflictError: There is another one of this name.
            OverloadedError: There are too many.
        """
        if not NAME.fullmatch(name):
            message = "must be 1 to 64 of a-z, 0-9, dot, hyphen and underscore, the first a letter or digit"
            raise InvalidError(message, field="name")
        if wanted.template is None:
            raise InvalidError("say which job to submit", field="job")
        term = self._leadership.current()
        now = term.commits.now()
        schedule = Schedule(
            name=name,
            cron=wanted.cron or "",
            time_zone=wanted.time_zone or "UTC",
            jitter_s=wanted.jitter_s or 0.0,
            catch_up=wanted.catch_up or CatchUp.LAST,
            catch_up_max=10 if wanted.catch_up_max is None else wanted.catch_up_max,
            template=wanted.template,
            created_at=now,
            decided_at=now,
        )
        self._check(term, schedule)

        async def keep(connection: Own) -> None:
            known = term.timetable.by_name.get(name)
            if known is not None and known.definition != schedule.definition:
                raise ConflictError(f"there is another schedule {name!r}; change it, or choose a new name")
            if known is None:
                if len(term.timetable.by_name) >= SCHEDULES_MAX:
                    raise OverloadedError(f"there are {SCHEDULES_MAX} schedules; remove some first")
                await keep_schedule(term, connection, schedule)

        await term.write_control(keep)

    async def change(self, name: str, wanted: Wanted) -> None:
        """Change a schedule; what came before new times of it is not caught up.

        Raises:
            InvalidError: What it would be is not acceptable; names the field.
            NotFoundError: There is none.
        """
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            known = _known(term, name)
            changed = replace(
                known,
                cron=known.cron if wanted.cron is None else wanted.cron,
                time_zone=known.time_zone if wanted.time_zone is None else wanted.time_zone,
                jitter_s=known.jitter_s if wanted.jitter_s is None else wanted.jitter_s,
                catch_up=wanted.catch_up or known.catch_up,
                catch_up_max=wanted.catch_up_max or known.catch_up_max,
                template=wanted.template or known.template,
            )
            self._check(term, changed)
            if (changed.cron, changed.time_zone) != (known.cron, known.time_zone):
                changed = replace(changed, firing_at=None, decided_at=term.commits.now())
            await keep_schedule(term, connection, changed)

        await term.write_control(keep)

    async def pause(self, name: str) -> None:
        """Submit nothing until it is resumed.

        Raises:
            NotFoundError: There is none.
        """
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            known = _known(term, name)
            if known.paused_at is None:
                await keep_schedule(term, connection, replace(known, paused_at=term.commits.now()))

        await term.write_control(keep)

    async def resume(self, name: str) -> None:
        """Go on from the next tick.

        Raises:
            NotFoundError: There is none.
        """
        term = self._leadership.current()

        async def keep(connection: Own) -> None:
            known = _known(term, name)
            if known.paused_at is not None:
                now = term.commits.now()
                await keep_schedule(
                    term, connection, replace(known, paused_at=None, firing_at=None, decided_at=now)
                )

        await term.write_control(keep)

    async def run(self, name: str, job_id: str) -> Accepted:
        """Submit the job of a schedule now, under *job_id* where one is given.

        Raises:
            NotFoundError: There is no such schedule.
            InvalidError: The id is none, or the job's type takes its parameters no longer.
            ConflictError: The id belongs to another job.
        """
        term = self._leadership.current()
        submission = submission_of(_known(term, name).template, job_id)
        [accepted] = await self._jobs.submit([submission])

        async def keep(connection: Own) -> None:
            known = term.timetable.by_name.get(name)
            if known is not None:
                await keep_schedule(term, connection, replace(known, last_job_id=accepted.id))

        await term.write_control(keep)
        return accepted

    async def remove(self, name: str) -> bool:
        """Forget a schedule; return whether there was one."""
        term = self._leadership.current()

        async def keep(connection: Own) -> bool:
            existed = name in term.timetable.by_name
            if existed:
                await delete_schedule(connection, name)
                term.timetable.remove(name)
            return existed

        return await term.write_control(keep)

    def _check(self, term: Term, schedule: Schedule) -> None:
        now = term.commits.now()
        check_cron(schedule.cron, schedule.time_zone, now)
        if not 0 <= schedule.jitter_s <= JITTER_MAX_S:
            message = f"must be from 0 to {JITTER_MAX_S:.0f} seconds, not {schedule.jitter_s:g}"
            raise InvalidError(message, field="jitter")
        if not 1 <= schedule.catch_up_max <= CATCH_UP_MAX:
            message = f"must be from 1 to {CATCH_UP_MAX}, not {schedule.catch_up_max}"
            raise InvalidError(message, field="catch_up_max")
        self._jobs.row_of(submission_of(schedule.template, ""), term, now, field="job")


def submission_of(template: Template, job_id: str) -> Submission:
    """Return the submission of a schedule's job; an empty id has one chosen."""
    return Submission(
        id=job_id,
        type=template.type,
        params=template.params,
        priority=template.priority,
        vram_mib=template.vram_mib,
        max_retries=template.max_retries,
        interactive=template.interactive,
        unique_key=template.unique_key,
        collection=template.collection,
    )


async def keep_schedule(term: Term, connection: Own, schedule: Schedule) -> None:
    """Write a schedule as it is, and let it count."""
    await save_schedule(connection, schedule)
    term.timetable.put(schedule)


def _known(term: Term, name: str) -> Schedule:
    known = term.timetable.by_name.get(name)
    if known is None:
        message = f"there is no schedule {name!r}; `callsheet schedules list` shows those there are"
        raise NotFoundError(message)
    return known
