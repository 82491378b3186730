"""Tells callers of statements that may be repeated what a failure of the database means to them."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy import exc

from callsheet.errors import CallsheetError, OverloadedError, UnavailableError
from callsheet_scheduler.store.connection import LOST_CONNECTION

#: SQLSTATE of a statement that ran into its deadline.
QUERY_CANCELLED: Final = "57014"

#: Classes of SQLSTATE that say the server is away, full or going: nothing is wrong with the statement.
AWAY: Final = ("08", "53", "57P")


@contextmanager
def repeatable() -> Generator[None]:
    """Turn those failures that are the database's affair into errors of the tree.

    Raises:
        OverloadedError: A statement took longer than it may.
        UnavailableError: The database is away.
    """
    try:
        yield
    except (*LOST_CONNECTION, exc.SQLAlchemyError) as error:
        if (meaning := meaning_of(error)) is None:
            raise
        raise meaning from error


def meaning_of(error: Exception) -> CallsheetError | None:
    """Return what a failure of the database means to a caller; None where the statement is at fault."""
    match error:
        case TimeoutError():
            return _slow()
        case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _away()
        case asyncpg.PostgresError():
            return _by_state(error.sqlstate)
        case exc.TimeoutError():
            return OverloadedError("too many lists are being read; come back in a moment")
        case exc.DBAPIError():
            state: object = getattr(error.orig, "sqlstate", None)
            return _away() if error.connection_invalidated else _by_state(state)
        case _:
            return None


def _by_state(state: object) -> CallsheetError | None:
    if not isinstance(state, str):
        return None
    if state == QUERY_CANCELLED:
        return _slow()
    return _away() if state.startswith(AWAY) else None


def _slow() -> CallsheetError:
    return OverloadedError(
        "this takes too long; narrow it down, such as to one type, state or folder", retry_after_s=5.0
    )


def _away() -> CallsheetError:
    return UnavailableError("the database is away; repeat the call")
