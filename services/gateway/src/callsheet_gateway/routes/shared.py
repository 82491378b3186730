"""What the routes of several resources share."""

from contextlib import aclosing
from typing import Annotated

from fastapi import Header

from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import check_id
from callsheet_gateway.excerpt import Excerpt
from callsheet_gateway.state import State

LastEventId = Annotated[
    str,
    Header(
        max_length=100, description="The id of the last event that was heard; the stream goes on after it."
    ),
]


def known_id(job_id: str) -> str:
    """Return the id in canonical form.

    Raises:
        NotFoundError: It is none, so no job has it.
    """
    try:
        return check_id(job_id, "id")
    except InvalidError as error:
        raise NotFoundError(f"there is no job {job_id[:64]}: an id is a UUID in canonical form") from error


async def log_text(state: State, job_id: str) -> str:
    """Return a job's log; of a long one the head and the tail."""
    excerpt = Excerpt()
    async with aclosing(state.client.read_log(job_id)) as pieces:
        async for piece in pieces:
            excerpt.add(piece)
    return excerpt.text(f"/api/media/jobs/{job_id}/log")
