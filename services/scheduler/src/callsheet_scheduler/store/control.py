"""Keeps what administrators decided: pauses, limits, drains. Each is one small statement."""

from dataclasses import dataclass

from callsheet_scheduler.domain.job import WorkerId
from callsheet_scheduler.domain.limits import Limits, Pause, Scope
from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Everything that was decided, for a new leader."""

    pauses: list[Pause]
    host_limits: dict[Scope, int]
    fleet_limits: dict[Scope, int]
    drained: dict[WorkerId, float | None]


async def load_controls(connection: Connection) -> Controls:
    """Return everything that was decided."""
    limits = await connection.fetch(statement("load_limits"))
    return Controls(
        pauses=[
            Pause(scope=Scope(row["scope"]), at=row["at"], by=row["by"])
            for row in await connection.fetch(statement("load_pauses"))
        ],
        host_limits={Scope(row["scope"]): row["per_host"] for row in limits if row["per_host"] is not None},
        fleet_limits={
            Scope(row["scope"]): row["per_fleet"] for row in limits if row["per_fleet"] is not None
        },
        drained={
            WorkerId(row["worker_id"]): row["grace_s"]
            for row in await connection.fetch(statement("load_drains"))
        },
    )


async def save_pause(connection: Connection, pause: Pause) -> None:
    """Keep that a scope is paused."""
    await connection.execute(statement("save_pause"), pause.scope, pause.at, pause.by)


async def delete_pause(connection: Connection, scope: Scope) -> None:
    """Forget the pause of a scope."""
    await connection.execute(statement("delete_pause"), scope)


async def save_limit(connection: Connection, scope: Scope, limits: Limits) -> None:
    """Keep the limits of a scope."""
    await connection.execute(statement("save_limit"), scope, limits.host.get(scope), limits.fleet.get(scope))


async def save_drain(
    connection: Connection, worker_id: WorkerId, *, grace_s: float | None, at: float, by: str
) -> None:
    """Keep that a worker is drained."""
    await connection.execute(statement("save_drain"), worker_id, grace_s, at, by)


async def delete_drain(connection: Connection, worker_id: WorkerId) -> None:
    """Forget that a worker is drained."""
    await connection.execute(statement("delete_drain"), worker_id)
