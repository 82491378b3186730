"""``callsheet workers``: see the fleet."""

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant

app = typer.Typer(help="See the workers.", no_args_is_help=True)


@command(app, "list")
async def list_workers(reach: Reach) -> ExitCode:
    """List the workers that are connected or still hold a job."""
    fleet = await reach.client.fleet()
    if reach.output.as_json:
        for worker in fleet.workers:
            reach.output.document(worker)
        return ExitCode.OK
    if not fleet.workers:
        reach.output.remark("No workers.")
        return ExitCode.OK
    rows: list[tuple[str, ...]] = []
    for worker in fleet.workers:
        heard_at = instant(worker.last_heartbeat_at)
        rows.append(
            (
                worker.id,
                worker.host,
                "yes" if worker.connected else "no",
                f"{worker.leases} of {worker.slots}",
                f"{worker.load:.2f}",
                ago_text(heard_at, reach.now) if heard_at else "",
                ", ".join(worker.roots),
                ", ".join(worker.types),
            )
        )
    columns = ("WORKER", "HOST", "CONNECTED", "BUSY>", "LOAD>", "HEARD", "ROOTS", "TYPES")
    reach.output.table(columns, rows)
    return ExitCode.OK
