"""What a caller sees of the jobs: a SUBMITTER its own, an OPERATOR all."""

from collections.abc import Sequence

from callsheet.errors import InvalidError, NotFoundError
from callsheet.v1.job_pb2 import Job, NewJob
from callsheet.v1.job_service_pb2 import ListJobsRequest
from callsheet_gateway.access.callers import Caller
from callsheet_gateway.access.unique_keys import own_key
from callsheet_gateway.state import State


async def seen_job(state: State, caller: Caller, job_id: str) -> Job:
    """Return a job that the caller sees.

    Raises:
        NotFoundError: There is none, or it is another's.
    """
    job = await state.client.job(job_id)
    if not (caller.sees_all or job.submitted_by == caller.name):
        raise NotFoundError(f"there is no job {job_id}")
    return job


async def check_seen(state: State, caller: Caller, job_id: str) -> None:
    """Make sure that the caller sees a job.

    Raises:
        NotFoundError: There is none, or it is another's.
    """
    if not caller.sees_all:
        await seen_job(state, caller, job_id)


def seen_only(wanted: ListJobsRequest, caller: Caller) -> ListJobsRequest:
    """Return what is asked for, within what the caller sees."""
    if not caller.sees_all:
        wanted.submitted_by = caller.name
    return wanted


def owned(new: NewJob, caller: Caller) -> NewJob:
    """Return what is asked for as the caller's; one that sees its own jobs only has unique keys of its own.

    Raises:
        InvalidError: Its key is too long.
    """
    new.submitted_by = caller.name
    if new.unique_key and not caller.sees_all:
        new.unique_key = own_key(new.unique_key, caller.name)
    return new


async def check_needs(state: State, caller: Caller, asked: Sequence[NewJob]) -> None:
    """Make sure that new jobs need only one another and jobs that the caller sees.

    Raises:
        InvalidError: They need another; it says what is said of a job that does not exist.
    """
    if caller.sees_all:
        return
    new = {job.id for job in asked}
    for needed in dict.fromkeys(needed for job in asked for needed in job.depends_on if needed not in new):
        try:
            await seen_job(state, caller, needed)
        except NotFoundError as error:
            message = f"there is no job {needed}: it never was, or its history has been dropped"
            raise InvalidError(message, field="depends_on") from error
