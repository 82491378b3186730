"""Which days of history can take jobs."""

from dataclasses import dataclass

from callsheet.errors import NotFoundError, UnavailableError
from callsheet_scheduler.domain.job import JobId


@dataclass(slots=True, kw_only=True)
class Days:
    """The days that have tables, as ranges of ids: a job's id says on which day its history lies."""

    end: JobId
    """The first id behind the last day that has its tables."""
    closing: tuple[JobId, JobId] | None = None
    """The ids of the day that is being dropped: nothing comes back from it."""

    def check_new(self, job_id: JobId) -> None:
        """Refuse a new job that could not be kept when it ends.

        Raises:
            UnavailableError: Its day has no tables.
        """
        if job_id >= self.end:
            raise UnavailableError(
                "the database has no tables for the jobs of this day, and the scheduler's log says why; "
                "repeat the call when they are there"
            )

    def check_back(self, job_id: JobId) -> None:
        """Refuse to bring a job back from a day that is being dropped.

        Raises:
            NotFoundError: Its day is.
        """
        if self.closing is not None and self.closing[0] <= job_id < self.closing[1]:
            raise NotFoundError(f"the history of the day of job {job_id} is being dropped")
