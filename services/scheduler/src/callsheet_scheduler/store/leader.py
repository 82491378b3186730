"""The two advisory keys, the term and the address that make one scheduler the leader."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from callsheet.errors import UnavailableError
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement

#: The first half of both keys.
KEY_CLASS: Final = 0x63_61_6C_6C

#: Held by the one that leads or takes over.
CANDIDATE_KEY: Final = 1

#: Held shared by every connection that writes for the leader.
WRITER_KEY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a try to become the candidate came to."""

    won: bool
    leader: str
    """The address of the last leader, host:port; empty where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A leadership as it begins. Instants are seconds since 1970."""

    term: int
    last_at: float
    """An instant that an earlier leader has used, 0 for none."""
    now: float
    """The database's time."""


async def try_candidate(connection: Connection) -> Standing:
    """Try to become the one candidate; held until *connection* closes."""
    row = await connection.fetchrow(statement("try_candidate"), KEY_CLASS, CANDIDATE_KEY)
    if row is None:
        raise UnavailableError("the table leader has no row; the database is not one of Callsheet's")
    return Standing(won=row["got"], leader=row["address"])


async def take_over(connection: Connection, address: str) -> Beginning:
    """End every writer of an earlier leadership and begin a new one, to be reached at *address*.

    When this returns, no statement of an earlier leader runs any more, and none can begin.
    """
    await connection.fetch(statement("end_other_leaders"), KEY_CLASS, WRITER_KEY)
    await connection.execute("SELECT pg_advisory_lock($1, $2)", KEY_CLASS, WRITER_KEY)
    row = await connection.fetchrow(statement("bump_term"), address)
    await connection.execute("SELECT pg_advisory_unlock($1, $2)", KEY_CLASS, WRITER_KEY)
    # What the same connection writes from here on, the renewals, may be lost in a crash.
    await connection.execute("SET synchronous_commit = off")
    if row is None:
        raise UnavailableError("the table leader has no row; the database is not one of Callsheet's")
    return Beginning(term=row["term"], last_at=row["last_at"], now=row["now"])


async def join_term(connection: Connection, term: int) -> None:
    """Make *connection* a writer of the leadership *term*.

    Raises:
        UnavailableError: Another leadership has begun.
    """
    await connection.execute("SELECT pg_advisory_lock_shared($1, $2)", KEY_CLASS, WRITER_KEY)
    present: int = await connection.fetchval(statement("read_term"))
    if present != term:
        raise _ended(term)


async def renew(connection: Connection, term: int, *, at: float, deadline_s: float) -> None:
    """Say that the leadership *term* goes on and has come to the instant *at*.

    Raises:
        UnavailableError: Another leadership has begun.
        TimeoutError: No answer came in *deadline_s*.
    """
    status = await connection.execute(statement("renew_term"), term, at, timeout=deadline_s)
    if status != "UPDATE 1":
        raise _ended(term)


def _ended(term: int) -> UnavailableError:
    return UnavailableError(f"leadership {term} has ended: another has begun")


async def check_sessions(one: Connection, other: Connection) -> None:
    """Make sure that each of two connections is a session of its own.

    Raises:
        UnavailableError: They are not: a pooler lends server sessions out by the transaction.
    """
    pids: list[int] = []
    try:
        for connection in (one, one, other, one, other, other):
            pid: int = await connection.fetchval("SELECT pg_backend_pid()")
            pids.append(pid)
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        pids = []
    if not are_two_sessions(pids):
        raise UnavailableError(
            "CALLSHEET_DATABASE_URL leads to a pooler that changes sessions between transactions, and "
            "leadership rests on session locks: name the database itself, or a pooler in session mode"
        )


def are_two_sessions(pids: list[int]) -> bool:
    """Say whether the processes that answered for connections A, A, B, A, B, B are one for each."""
    if len(pids) != 6:  # noqa: PLR2004 -- as many as there are questions
        return False
    a, b = pids[0], pids[2]
    return a != b and pids == [a, a, b, a, b, b]
