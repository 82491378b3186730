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

#: What asyncpg itself raises. The second where a statement meets the server's last word on a connection.
OF_THE_CLIENT: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)

#: After one of these the outcome of a statement is unknown.
LOST_CONNECTION: Final = (asyncpg.PostgresError, *OF_THE_CLIENT, OSError, TimeoutError)
