"""``callsheet jobs``: see and steer the queue."""

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from pydantic import JsonValue

from callsheet.cli import hours
from callsheet.cli.actions import add_actions
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.filters import Filter
from callsheet.cli.job_views import COLUMNS, job_facts, job_row
from callsheet.cli.progress import follow_job
from callsheet.cli.wishes import Wishes
from callsheet.errors import InvalidError
from callsheet.service.plain import plain
from callsheet.v1.job_pb2 import Job, JobState

app = typer.Typer(help="See and steer jobs.", no_args_is_help=True)

#: Bytes of parameters that are read from a file.
PARAMS_BYTES_MAX: Final = 1024 * 1024

JobIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@command(app, "list")
async def list_jobs(
    reach: Reach,
    chosen: Filter,
    *,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 20,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="Begin with the oldest.")] = False,
) -> ExitCode:
    """List jobs, newest first."""
    wanted = chosen.on_wire()
    wanted.oldest_first = oldest_first
    wanted.page_size = min(limit, 200)
    shown: list[Job] = []
    count = 0
    async with aclosing(reach.client.jobs(wanted)) as jobs:
        async for job in jobs:
            count += 1
            if reach.output.as_json:
                reach.output.document(job)
            else:
                shown.append(job)
            if count == limit:
                break
    if shown:
        reach.output.table(COLUMNS, [job_row(job, reach.now) for job in shown])
    elif not reach.output.as_json:
        reach.output.remark("No jobs.")
    return ExitCode.OK


@command(app, "show")
async def show_job(reach: Reach, job_id: JobIdArgument) -> ExitCode:
    """Show a job with every field, why it waits, and its attempts."""
    _show(reach, await reach.client.job(job_id))
    return ExitCode.OK


@command(app, "children")
async def list_children(reach: Reach, job_id: JobIdArgument) -> ExitCode:
    """List the jobs that a job has yielded to, in the order given."""
    shown: list[Job] = []
    async with aclosing(reach.client.children(job_id)) as children:
        async for job in children:
            if reach.output.as_json:
                reach.output.document(job)
            else:
                shown.append(job)
    if shown:
        reach.output.table(COLUMNS, [job_row(job, reach.now) for job in shown])
    elif not reach.output.as_json:
        reach.output.remark("No children.")
    return ExitCode.OK


@command(app, "submit")
async def submit_job(
    reach: Reach,
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="The job type; see `types list`.")],
    wishes: Wishes,
    *,
    params: Annotated[
        str,
        typer.Option(
            help="The parameters, a JSON object; @FILE reads it from a file, @- from standard input."
        ),
    ] = "",
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="One parameter; the value is JSON where it can be, else text. Repeatable.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job is final.")] = False,
) -> ExitCode:
    """Submit a job of any type."""
    values = await asyncio.to_thread(params_object, params, param or ())
    submitted = await reach.client.submit(wishes.job(job_type, json.dumps(values)))
    if wait:
        final = await follow_job(reach.patient, submitted.id, console=reach.output.aside)
        _show(reach, final)
        return outcome_of(final)
    if reach.output.as_json:
        reach.output.document(submitted)
    else:
        reach.output.say(submitted.id)
    return ExitCode.OK


add_actions(app)
app.registered_commands += hours.app.registered_commands


@command(app, "logs")
async def read_log(
    reach: Reach,
    job_id: JobIdArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is final.")] = False,
) -> ExitCode:
    """Write a job's log."""
    client = reach.patient if follow else reach.client
    async with aclosing(client.read_log(job_id, follow=follow)) as pieces:
        async for piece in pieces:
            if reach.output.as_json:
                for line in piece.splitlines():
                    reach.output.document({"line": line})
            else:
                sys.stdout.write(plain(piece))
                sys.stdout.flush()
    return ExitCode.OK


def outcome_of(job: Job) -> ExitCode:
    """Return the code for a final job."""
    return ExitCode.OK if job.state == JobState.JOB_STATE_COMPLETED else ExitCode.FAILED


def params_object(params: str, single: list[str] | tuple[str, ...]) -> dict[str, JsonValue]:
    """Return the parameters that the options give; single ones win.

    Raises:
        InvalidError: They cannot be read; names the option.
    """
    values = _parsed(_read(params)) if params else {}
    for pair in single:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise InvalidError(f"{pair!r} is not KEY=VALUE", field="--param")
        values[key] = _json_or_text(text)
    return values


def _read(params: str) -> str:
    if not params.startswith("@"):
        return params
    try:
        if params == "@-":
            return sys.stdin.read(PARAMS_BYTES_MAX)
        with Path(params[1:]).open("rb") as file:
            return file.read(PARAMS_BYTES_MAX).decode("utf-8")
    except OSError as error:
        raise InvalidError(f"{params[1:]} cannot be read: {error.strerror}", field="--params") from None
    except UnicodeError:
        raise InvalidError(f"{params[1:]} is not text in UTF-8", field="--params") from None


def _parsed(text: str) -> dict[str, JsonValue]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"this is not JSON: {error}", field="--params") from None
    if not isinstance(values, dict):
        raise InvalidError('a JSON object is wanted, such as {"root": "library"}', field="--params")
    return cast("dict[str, JsonValue]", values)


def _json_or_text(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _show(reach: Reach, job: Job) -> None:
    if reach.output.as_json:
        reach.output.document(job)
    else:
        reach.output.facts(job_facts(job, reach.now))
