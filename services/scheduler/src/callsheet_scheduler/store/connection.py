"""The types of connections, and the errors by which they are known to be lost."""

from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection | PoolConnectionProxy"
"""A connection, our own or lent by a pool."""

Own: TypeAlias = asyncpg.Connection
"""A connection that is ours alone."""

Pool: TypeAlias = asyncpg.Pool
"""A pool of connections."""

#: After one of these the outcome of a statement is unknown.
LOST_CONNECTION: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
