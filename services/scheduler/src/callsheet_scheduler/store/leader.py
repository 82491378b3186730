"""The two advisory keys and the term that make one scheduler the leader."""

from typing import Final

from callsheet.errors import UnavailableError
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement

#: The first half of both keys.
KEY_CLASS: Final = 0x63_61_6C_6C

#: Held by the one that leads or takes over.
CANDIDATE_KEY: Final = 1

#: Held shared by every connection that writes for the leader.
WRITER_KEY: Final = 2


async def try_candidate(connection: Connection) -> bool:
    """Try to become the one candidate; held until *connection* closes."""
    got: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", KEY_CLASS, CANDIDATE_KEY)
    return got


async def take_over(connection: Connection) -> int:
    """End every writer of an earlier leadership and return the new term.

    When this returns, no statement of an earlier leader runs any more, and none can begin.
    """
    await connection.fetch(statement("end_other_leaders"), KEY_CLASS, WRITER_KEY)
    await connection.execute("SELECT pg_advisory_lock($1, $2)", KEY_CLASS, WRITER_KEY)
    term: int = await connection.fetchval(statement("bump_term"))
    await connection.execute("SELECT pg_advisory_unlock($1, $2)", KEY_CLASS, WRITER_KEY)
    return term


async def join_term(connection: Connection, term: int) -> None:
    """Make *connection* a writer of the leadership *term*.

    Raises:
        UnavailableError: Another leadership has begun.
    """
    await connection.execute("SELECT pg_advisory_lock_shared($1, $2)", KEY_CLASS, WRITER_KEY)
    present: int = await connection.fetchval(statement("read_term"))
    if present != term:
        message = f"leadership {term} has ended; {present} leads"
        raise UnavailableError(message)


async def read_clock(connection: Connection) -> float:
    """Return the database's time, in seconds since 1970."""
    at: float = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    return at
