"""``callsheet queues``: pauses and limits of the queue by category or job type."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.text import Text

from callsheet.cli.choices import CategoryChoice
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant
from callsheet.cli.output import state_cell
from callsheet.client import Limit
from callsheet.errors import InvalidError
from callsheet.v1.fleet_service_pb2 import Queue

app = typer.Typer(help="Pause and limit the queue, by category or job type.", no_args_is_help=True)

COLUMNS: Final = (
    "SCOPE",
    "GRANTS",
    "PER HOST>",
    "FLEET>",
    "PENDING>",
    "QUEUED>",
    "RUNNING>",
    "PAUSED>",
    "NOTE",
)

#: Scopes that are always shown.
WIDE: Final = frozenset({"all", *(category.value for category in CategoryChoice)})

NO_LIMIT: Final = "none"

#: Who asked, as the scheduler keeps it.
REQUESTED_BY: Final = "callsheet queues pause"

ScopeArgument = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help="`all`, a category such as `gpu_encode`, or a job type."),
]


@command(app, "list")
async def list_queues(
    reach: Reach,
    *,
    every: Annotated[
        bool, typer.Option("--every", help="Also job types that have no job, pause or limit.")
    ] = False,
) -> ExitCode:
    """List the scopes of the queue with their pauses, limits and jobs."""
    queues = await reach.client.queues()
    if reach.output.as_json:
        for queue in queues:
            reach.output.document(queue)
        return ExitCode.OK
    _show(reach, [queue for queue in queues if every or queue.scope in WIDE or _says(queue)])
    return ExitCode.OK


@command(app, "pause")
async def pause_queue(reach: Reach, scope: ScopeArgument) -> ExitCode:
    """Give no more leases to jobs of a scope. What runs goes on."""
    return _answer(reach, await reach.client.pause_queue(scope, requested_by=REQUESTED_BY))


@command(app, "resume")
async def resume_queue(reach: Reach, scope: ScopeArgument) -> ExitCode:
    """End the pause of a scope."""
    return _answer(reach, await reach.client.resume_queue(scope))


@command(app, "limit")
async def limit_queue(
    reach: Reach,
    scope: ScopeArgument,
    *,
    host: Annotated[
        str, typer.Option(metavar="JOBS", help="At once on one host; `none` lifts the limit.")
    ] = "",
    fleet: Annotated[
        str, typer.Option(metavar="JOBS", help="At once on all hosts together; `none` lifts the limit.")
    ] = "",
) -> ExitCode:
    """Change how many jobs of a scope may run at once. What runs above a new limit goes on."""
    limits = _limit(host, field="--host"), _limit(fleet, field="--fleet")
    if limits == (None, None):
        raise InvalidError("say which limit to change", field="--host or --fleet")
    return _answer(reach, await reach.client.limit_queue(scope, host=limits[0], fleet=limits[1]))


def _answer(reach: Reach, queue: Queue) -> ExitCode:
    if reach.output.as_json:
        reach.output.document(queue)
    else:
        _show(reach, [queue])
    return ExitCode.OK


def _show(reach: Reach, queues: Sequence[Queue]) -> None:
    reach.output.table(COLUMNS, [_row(reach, queue) for queue in queues])


def _row(reach: Reach, queue: Queue) -> tuple[str | Text, ...]:
    paused_at = instant(queue.paused_at)
    note = f"by {queue.paused_by}, {ago_text(paused_at, reach.now)}" if paused_at else ""
    return (
        queue.scope,
        state_cell("paused" if queue.paused else "open"),
        str(queue.host_limit) if queue.HasField("host_limit") else "",
        str(queue.fleet_limit) if queue.HasField("fleet_limit") else "",
        *(str(count) for count in (queue.pending, queue.queued, queue.running, queue.paused_jobs)),
        note,
    )


def _says(queue: Queue) -> bool:
    """Return whether there is something to say of a job type."""
    jobs = queue.pending + queue.queued + queue.running + queue.paused_jobs
    return bool(jobs) or queue.paused or queue.HasField("host_limit") or queue.HasField("fleet_limit")


def _limit(text: str, *, field: str) -> Limit | None:
    if not text:
        return None
    if text == NO_LIMIT:
        return Limit(jobs=None)
    if not text.isascii() or not text.isdigit():
        raise InvalidError(f"{text!r} is no number of jobs; `{NO_LIMIT}` lifts the limit", field=field)
    return Limit(jobs=int(text))
