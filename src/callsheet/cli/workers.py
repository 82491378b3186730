"""``callsheet workers``: see the fleet."""

import typer

from callsheet.cli.options import Json, Options, options_of
from callsheet.cli.run import run
from callsheet.cli.show import instant, print_json, table

app = typer.Typer(no_args_is_help=True, help="See the workers.")


@app.command("list")
def list_workers(context: typer.Context, *, json_out: Json = False) -> None:
    """List every worker that is connected or holds a lease."""
    run(_list(options_of(context), json_out=json_out))


async def _list(options: Options, *, json_out: bool) -> None:
    async with options.connection().client() as client:
        workers = await client.workers()
    if json_out:
        for worker in workers:
            print_json(worker)
        return
    table(
        ("ID", "HOST", "CONNECTED", "RUNNING", "SLOTS", "LOAD", "LAST HEARD", "TYPES", "SANDBOX"),
        (
            (
                worker.id,
                worker.host,
                "yes" if worker.connected else "no",
                str(worker.leases),
                str(worker.slots),
                f"{worker.load:.2f}",
                instant(worker.last_heartbeat_at),
                " ".join(worker.types),
                ", ".join(worker.sandbox),
            )
            for worker in workers
        ),
    )
