"""Fires the schedules that are due."""

import logging
from typing import Final

from callsheet.errors import ConflictError, InvalidError, OverloadedError
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.schedules import Schedule, begun, fired, firing_of, job_id_of
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.use_cases.jobs import Jobs
from callsheet_scheduler.use_cases.schedules import keep_schedule, submission_of

log = logging.getLogger(__name__)

#: Seconds until the queue is asked again that took nothing.
AGAIN_S: Final = 2.0


class Cron:
    """Called again and again while this process leads."""

    def __init__(self, leadership: Leadership, jobs: Jobs) -> None:
        self._leadership = leadership
        self._jobs = jobs
        self._not_before = 0.0

    async def fire(self) -> None:
        """Submit the jobs of every schedule that is due; what is not possible now is left for the next call.

        Raises:
            UnavailableError: The leadership is over.
        """
        term = self._leadership.current()
        now = term.commits.now()
        if now < self._not_before:
            return
        for schedule in term.timetable.due(now):
            try:
                await self._fire(term, schedule.name)
            except OverloadedError as error:
                log.warning("the schedule %s waits: %s", schedule.name, error.message)
                self._not_before = term.commits.now() + AGAIN_S
                return

    async def _fire(self, term: Term, name: str) -> None:
        schedule = await self._begin(term, name)
        firing = None if schedule is None else firing_of(schedule, term.commits.now())
        if schedule is None or firing is None:
            return
        job_ids: dict[float, JobId] = {}
        problem: str | None = None
        for tick in firing.ticks:
            if term.timetable.by_name.get(name) is not schedule:
                return  # somebody changed it: the next call sees what is left
            job_id = job_id_of(schedule, tick)
            try:
                [accepted] = await self._jobs.submit([submission_of(schedule.template, job_id)])
                if accepted.id == job_id:
                    job_ids[tick] = job_id
                else:
                    problem = f"the job {accepted.id} of its unique key is not final yet"
            except ConflictError:
                job_ids[tick] = job_id  # it was fired before its job was changed
            except InvalidError as error:
                problem = _sentence(error)
                log.warning("the schedule %s submitted nothing: %s", name, problem)

        async def keep(connection: Own) -> None:
            current = term.timetable.by_name.get(name)
            if current is not None and current.created_at == schedule.created_at:
                await keep_schedule(term, connection, fired(current, firing, job_ids, problem))

        await term.write_control(keep)

    async def _begin(self, term: Term, name: str) -> Schedule | None:
        """Write that a firing begins, and return the schedule; None where it is not there any more."""

        async def keep(connection: Own) -> Schedule | None:
            known = term.timetable.by_name.get(name)
            if known is None:
                return None
            beginning = begun(known, term.commits.now())
            if beginning is known:
                return known
            await keep_schedule(term, connection, beginning)
            return beginning

        return await term.write_control(keep)


def _sentence(error: InvalidError) -> str:
    field = error.field.removeprefix("jobs[0].")
    return f"{field}: {error.message}" if field else error.message
