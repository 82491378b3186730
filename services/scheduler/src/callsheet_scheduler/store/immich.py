"""Keeps what administrators decided of Immich servers, each as a row while something is decided."""

from callsheet_scheduler.domain.immich import UNDECIDED, Decided, Servers
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement


async def save_decided(connection: Connection, name: str, decided: Decided) -> None:
    """Keep what is decided of a server."""
    if decided == UNDECIDED:
        await connection.execute(statement("delete_immich"), name)
        return
    await connection.execute(
        statement("save_immich"),
        name,
        decided.paused_at,
        decided.paused_by,
        decided.limit,
        decided.order,
        decided.interval_s,
    )


async def load_servers(connection: Connection) -> Servers:
    """Return every server of which something is decided; none has reported."""
    servers = Servers()
    for row in await connection.fetch(statement("load_immich")):
        order = row["queue_order"]
        servers.decide(
            row["name"],
            Decided(
                paused_at=row["paused_at"],
                paused_by=row["paused_by"],
                limit=row["queue_limit"],
                order=None if order is None else tuple(order),
                interval_s=row["interval_s"],
            ),
        )
    return servers
