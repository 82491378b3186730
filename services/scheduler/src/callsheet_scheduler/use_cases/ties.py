"""What a submission says of other jobs: which it needs, and its unique key."""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet_scheduler.domain.effects import NewRow
from callsheet_scheduler.domain.job import IfFails, JobId, JobState, LiveJob, Ties
from callsheet_scheduler.domain.ties import circle

#: Jobs that one job may need.
NEEDS_MAX: Final = 1000

UNIQUE_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


class Asked(Protocol):
    """The part of a submission that is about other jobs."""

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Ids of jobs that have to be final before."""
        ...

    @property
    def if_dependency_fails(self) -> IfFails:
        """What then becomes of the job."""
        ...

    @property
    def unique_key(self) -> str:
        """Empty for none."""
        ...


def ties_of(asked: Asked, job_id: JobId) -> Ties | None:
    """Return the ties of a new job.

    Raises:
        InvalidError: Something about them is not acceptable; names the field.
    """
    if not asked.depends_on and not asked.unique_key:
        return None
    if len(asked.depends_on) > NEEDS_MAX:
        message = f"{len(asked.depends_on)} jobs; a job may depend on at most {NEEDS_MAX}"
        raise InvalidError(message, field="depends_on")
    needs = dict.fromkeys(
        JobId(check_id(text, f"depends_on[{index}]")) for index, text in enumerate(asked.depends_on)
    )
    if job_id in needs:
        message = "a job cannot depend on itself"
        raise InvalidError(message, field="depends_on")
    if asked.unique_key and not UNIQUE_KEY.fullmatch(asked.unique_key):
        message = "must be 1 to 200 printable ASCII characters without blanks"
        raise InvalidError(message, field="unique_key")
    return Ties(
        needs=tuple(needs),
        if_fails=asked.if_dependency_fails,
        unique_key=asked.unique_key,
        open=set(needs),
    )


def needed_by(rows: Mapping[JobId, NewRow]) -> list[JobId]:
    """Return the jobs that new ones need and that are not among them."""
    needed = {needed: None for row in rows.values() if row.job.ties for needed in row.job.ties.needs}
    return [job_id for job_id in needed if job_id not in rows]


def tie(rows: Mapping[JobId, NewRow], live: Mapping[JobId, LiveJob], done: Mapping[JobId, JobState]) -> None:
    """Let new jobs wait for those they need that are live or among them; the others are *done*.

    Raises:
        InvalidError: They wait for one another.
    """
    tied = {job_id: row.job.ties for job_id, row in rows.items() if row.job.ties is not None}
    knotted = circle({job_id: ties.needs for job_id, ties in tied.items()})
    if knotted is not None:
        message = f"the job {knotted} needs itself by way of others of this submission"
        raise InvalidError(message, field="depends_on")
    for ties in tied.values():
        for needed in ties.needs:
            if needed not in live and needed not in rows and needed in done:
                ties.settle(needed, completed=done[needed] is JobState.COMPLETED)


def check_needs(rows: Mapping[JobId, NewRow], live: Mapping[JobId, LiveJob], *, field: str) -> None:
    """Refuse jobs that an attempt gives where they need others than one another and what lives.

    Raises:
        InvalidError: They do, or they wait for one another.
    """
    tie(rows, live, {})
    for row in rows.values():
        for needed in row.job.ties.needs if row.job.ties is not None else ():
            if needed not in rows and needed not in live:
                message = f"{needed} is neither among these jobs nor live"
                raise InvalidError(message, field=f"{field}.depends_on")
