"""Steers the controllers that run by leases, through the scheduler."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import typer
from rich.text import Text

from callsheet.acting import me
from callsheet.cli.commands import Command, Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant
from callsheet.cli.output import state_cell
from callsheet.errors import InvalidError, NotFoundError
from callsheet.v1.immich_service_pb2 import (
    ChangeImmichServerRequest,
    ImmichHold,
    ImmichQueue,
    ImmichServer,
)

SERVER_COLUMNS: Final = ("SERVER", "ADDRESS", "STATE", "AT ONCE>", "EVERY>", "NOTE")
COLUMNS: Final = ("QUEUE", "STATE", "ACTIVE>", "WAITING>", "DELAYED>", "FAILED>", "NOTE")
OWN: Final = "own"
"""Stands for what the controller's settings say."""

_PAUSED_BY: Final = {
    ImmichHold.IMMICH_HOLD_CONTROLLER: "by the controller",
    ImmichHold.IMMICH_HOLD_OTHERS: "by somebody else",
}

ServerOption = Annotated[
    str, typer.Option("--server", metavar="NAME", help="Which server; not needed where there is one.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[str, Command[...]] = {
        "status": status,
        "order": order,
        "limit": limit,
        "interval": interval,
        "pause": pause,
        "resume": resume,
    }
    for name, function in commands.items():
        command(app, name)(function)


async def status(reach: Reach, *, server: ServerOption = "") -> ExitCode:
    """Show the servers whose queues run by leases, and their queues, most urgent first."""
    servers = await reach.client.immich_servers()
    chosen = [one for one in servers if server in {"", one.name}]
    if server and not chosen:
        there = ", ".join(one.name for one in servers) or "none"
        raise NotFoundError(f"there is no Immich server {server!r}; there are {there}")
    if not chosen and not reach.output.as_json:
        reach.output.remark("There is no Immich server; `callsheet immich work` brings one.")
    return _show(reach, chosen)


async def order(
    reach: Reach,
    queues: Annotated[
        list[str],
        typer.Argument(
            metavar="QUEUE...", help=f"Most urgent first; `{OWN}` alone: as the controller's settings say."
        ),
    ],
    *,
    server: ServerOption = "",
) -> ExitCode:
    """Put queues first, in this order; the others follow as before."""
    wanted = ChangeImmichServerRequest(name=server)
    if queues == [OWN]:
        wanted.clear_order = True
    else:
        before = _named(await reach.client.immich_servers(), server)
        wanted.order.extend([*queues, *(name for name in before if name not in queues)])
    return _show(reach, [await reach.client.change_immich_server(wanted)])


async def limit(
    reach: Reach,
    queues: Annotated[
        str,
        typer.Argument(
            metavar="QUEUES", help=f"At once; 0 holds all back, `{OWN}`: as the controller's settings say."
        ),
    ],
    *,
    server: ServerOption = "",
) -> ExitCode:
    """Change how many queues may run at once. What runs above a new limit comes to its end."""
    wanted = ChangeImmichServerRequest(name=server)
    if queues == OWN:
        wanted.clear_limit = True
    elif queues.isascii() and queues.isdigit() and len(queues) <= len("100"):
        wanted.limit = int(queues)
    else:
        raise InvalidError(f"{queues!r} is no number from 0 to 100, nor `{OWN}`", field="QUEUES")
    return _show(reach, [await reach.client.change_immich_server(wanted)])


async def interval(
    reach: Reach,
    seconds: Annotated[
        str,
        typer.Argument(metavar="SECONDS", help=f"0.5 to 3600, or `{OWN}`: as the controller's settings say."),
    ],
    *,
    server: ServerOption = "",
) -> ExitCode:
    """Change how often the controller looks at the server."""
    wanted = ChangeImmichServerRequest(name=server)
    if seconds == OWN:
        wanted.clear_interval = True
    else:
        try:
            wanted.interval_s = float(seconds)
        except ValueError:
            raise InvalidError(f"{seconds!r} is no number, nor `{OWN}`", field="SECONDS") from None
    return _show(reach, [await reach.client.change_immich_server(wanted)])


async def pause(reach: Reach, *, server: ServerOption = "") -> ExitCode:
    """Have the controller ask nothing of the server: what runs goes on, what is paused stays paused."""
    wanted = ChangeImmichServerRequest(name=server, paused=True, requested_by=me())
    return _show(reach, [await reach.client.change_immich_server(wanted)])


async def resume(reach: Reach, *, server: ServerOption = "") -> ExitCode:
    """Let the controller go on."""
    wanted = ChangeImmichServerRequest(name=server, paused=False)
    return _show(reach, [await reach.client.change_immich_server(wanted)])


def _named(servers: Sequence[ImmichServer], server: str) -> Sequence[str]:
    """Return the queues of a server in their order, the managed ones alone."""
    chosen = [one for one in servers if server in {"", one.name}]
    if len(chosen) != 1:
        return ()  # the scheduler says what is wrong
    (one,) = chosen
    managed = [queue.name for queue in one.queues if queue.hold != ImmichHold.IMMICH_HOLD_UNMANAGED]
    return managed or one.rules.order


def _show(reach: Reach, servers: Sequence[ImmichServer]) -> ExitCode:
    if reach.output.as_json:
        for server in servers:
            reach.output.document(server)
        return ExitCode.OK
    for server in servers:
        reach.output.table(SERVER_COLUMNS, [_server_row(reach, server)])
        if server.queues:
            reach.output.table(COLUMNS, [_row(queue) for queue in server.queues])
    return ExitCode.OK


def _server_row(reach: Reach, server: ImmichServer) -> tuple[str | Text, ...]:
    state = "silent" if server.silent else "unreachable" if server.error else "reached"
    at_once = str(server.rules.limit) if server.address or server.limit_decided else ""
    every = f"{server.rules.interval_s:g} s" if server.rules.interval_s else ""
    notes = "; ".join(said(server, reach.now))
    return (server.name, server.address, state_cell(state), at_once, every, notes)


def said(server: ImmichServer, now: datetime) -> list[str]:
    """Return what is to be said of a server beside its queues."""
    paused, heard, reached = map(instant, (server.paused_at, server.reported_at, server.reached_at))
    notes: list[str] = []
    if paused:
        notes.append(f"paused by {server.paused_by}, {ago_text(paused, now)}")
    if server.silent:
        notes.append(f"no controller reports{f'; the last did {ago_text(heard, now)}' if heard else ''}")
    elif not server.applied:
        notes.append("its controller does not go by this yet")
    if server.error:
        notes.append(f"{f'reached {ago_text(reached, now)}' if reached else 'never reached'}: {server.error}")
    return notes


def _row(queue: ImmichQueue) -> tuple[str | Text, ...]:
    state = "paused" if queue.paused else "running" if queue.active else "open"
    counts = (queue.active, queue.waiting, queue.delayed, queue.failed)
    return (queue.name, state_cell(state), *(f"{count:,}" for count in counts), _note(queue))


def _note(queue: ImmichQueue) -> str:
    if queue.hold == ImmichHold.IMMICH_HOLD_UNMANAGED:
        return "never touched"
    if queue.stalled:
        return "nothing of it starts"
    if queue.asks:
        return "waits for a lease"
    return _PAUSED_BY.get(queue.hold, "")
