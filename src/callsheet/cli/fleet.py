"""``callsheet fleet``: see the workers, and drain them."""

import asyncio
from datetime import timedelta
from typing import Annotated, Final

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant
from callsheet.cli.painters import painter_for
from callsheet.v1.fleet_service_pb2 import Worker

app = typer.Typer(help="See the workers, and drain them.", no_args_is_help=True)

COLUMNS: Final = ("WORKER", "HOST", "STATE", "BUSY>", "LOAD>", "HEARD", "SANDBOX", "ROOTS", "TYPES")

#: Seconds between two looks at a worker that drains.
LOOK_INTERVAL_S: Final = 0.5

#: Who asked, as the scheduler keeps it.
REQUESTED_BY: Final = "callsheet fleet drain"

WorkerArgument = Annotated[str, typer.Argument(metavar="WORKER", help="Its identity; see `fleet list`.")]


@command(app, "list")
async def list_workers(reach: Reach) -> ExitCode:
    """List the workers that are connected, still hold a job, or are drained."""
    fleet = await reach.client.fleet()
    if reach.output.as_json:
        for worker in fleet.workers:
            reach.output.document(worker)
    elif not fleet.workers:
        reach.output.remark("No workers.")
    else:
        reach.output.table(COLUMNS, [_row(reach, worker) for worker in fleet.workers])
    return ExitCode.OK


@command(app, "drain")
async def drain_worker(
    reach: Reach,
    worker_id: WorkerArgument,
    *,
    grace_s: Annotated[
        float | None,
        typer.Option(
            "--grace", min=0, metavar="SECONDS", help="Have its jobs handed back after this; else they end."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it holds no job.")] = False,
) -> ExitCode:
    """Give a worker no more jobs, also after it starts again, until `fleet resume`."""
    grace = None if grace_s is None else timedelta(seconds=grace_s)
    worker = await reach.client.drain_worker(worker_id, grace=grace, requested_by=REQUESTED_BY)
    if wait:
        worker = await _emptied(reach, worker)
    if reach.output.as_json:
        reach.output.document(worker)
    elif worker.leases:
        reach.output.say(f"Drains; it still holds {_jobs(worker.leases)}.")
    else:
        reach.output.say("Drained; it holds no job.")
    return ExitCode.OK


@command(app, "resume")
async def resume_worker(reach: Reach, worker_id: WorkerArgument) -> ExitCode:
    """Let a drained worker take jobs again."""
    worker = await reach.client.resume_worker(worker_id)
    if reach.output.as_json:
        reach.output.document(worker)
    else:
        reach.output.say("It takes jobs again." if worker.connected else "It takes jobs once it connects.")
    return ExitCode.OK


async def _emptied(reach: Reach, worker: Worker) -> Worker:
    """Wait until the worker holds no job, and return it."""
    most = worker.leases
    with painter_for(reach.output.aside) as painter:
        while worker.leases:
            most = max(most, worker.leases)
            painter.show(f"Drain {worker.id}", most - worker.leases, most, f"{_jobs(worker.leases)} left")
            await asyncio.sleep(LOOK_INTERVAL_S)
            fleet = await reach.patient.fleet()
            worker = next((one for one in fleet.workers if one.id == worker.id), Worker(id=worker.id))
    return worker


def _row(reach: Reach, worker: Worker) -> tuple[str, ...]:
    heard_at = instant(worker.last_heartbeat_at)
    return (
        worker.id,
        worker.host,
        _state(worker),
        f"{worker.leases} of {worker.slots}",
        f"{worker.load:.2f}",
        ago_text(heard_at, reach.now) if heard_at else "",
        _sandbox(worker),
        ", ".join(worker.roots),
        ", ".join(worker.types),
    )


def _sandbox(worker: Worker) -> str:
    """Return whether all of it is in force, or what is not; nothing of a worker that never said."""
    if worker.sandbox_lacks:
        return f"without {', '.join(worker.sandbox_lacks)}"
    return "whole" if worker.sandbox else ""


def _state(worker: Worker) -> str:
    words = [
        "connected" if worker.connected else "away",
        ("draining" if worker.leases else "drained") if worker.draining else "",
        "leaving" if worker.leaving else "",
    ]
    return ", ".join(word for word in words if word)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"
