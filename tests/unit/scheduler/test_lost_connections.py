"""A connection that is lost leaves the outcome unknown, in whatever words asyncpg says so."""

import asyncpg
import pytest
from callsheet_scheduler.store.errors import OutcomeUnknownError, sorted_errors
from callsheet_scheduler.store.repeatable import repeatable

from callsheet.errors import UnavailableError

LOST = [
    ConnectionResetError("reset by peer"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_what_was_to_be_written_may_have_been(error: Exception) -> None:
    with pytest.raises(OutcomeUnknownError):
        async with sorted_errors():
            raise error


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_what_was_to_be_read_may_be_asked_again(error: Exception) -> None:
    with pytest.raises(UnavailableError), repeatable():
        raise error
