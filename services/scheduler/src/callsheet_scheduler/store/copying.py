"""What a backup asks of the database: which tables there are, and that its leaderships begin anew."""

from typing import Final

import asyncpg

#: Leaderships that a restored database is taken ahead. Those after the copy was made may have granted leases
#: that workers still name; none of them may look newer than what is granted from now on.
TERMS_AHEAD: Final = 1_000_000

CONNECT_LIMIT_S: Final = 10.0


async def tables_of(dsn: str) -> list[str]:
    """Return the names of the tables that there are.

    Raises:
        OSError: The database cannot be reached.
        asyncpg.PostgresError: It refuses.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_LIMIT_S)
    try:
        rows = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        )
    finally:
        await connection.close()
    return [row["tablename"] for row in rows]


async def leap(dsn: str) -> None:
    """Let the next leadership be later than all that came after the copy was made."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_LIMIT_S)
    try:
        await connection.execute("UPDATE leader SET term = term + $1", TERMS_AHEAD)
    finally:
        await connection.close()
