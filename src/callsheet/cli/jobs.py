"""``callsheet jobs``: list, show, submit, cancel, retry, logs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli.options import Json, Options, options_of
from callsheet.cli.run import run
from callsheet.cli.show import category, instant, job_state, print_json, table
from callsheet.errors import InvalidError
from callsheet.v1.job_pb2 import JOB_STATE_COMPLETED, Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import ListJobsRequest

app = typer.Typer(no_args_is_help=True, help="See and steer jobs.")

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    *,
    status: Annotated[list[str] | None, typer.Option(help="pending, queued, running, … (repeatable)")] = None,
    job_type: Annotated[list[str] | None, typer.Option("--type", help="A job type (repeatable).")] = None,
    query: Annotated[str, typer.Option(help="A part of id, type, parameters or error.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    json_out: Json = False,
) -> None:
    """List jobs, newest first."""
    run(_list(options_of(context), status or [], job_type or [], query, limit, json_out=json_out))


async def _list(
    options: Options,
    status: list[str],
    types: list[str],
    query: str,
    limit: int,
    *,
    json_out: bool,
) -> None:
    states = [_state(name) for name in status]
    request = ListJobsRequest(states=states, types=types, query=query, page_size=limit)
    async with options.connection().client() as client:
        page = await client.list_jobs(request)
    if json_out:
        for job in page.jobs:
            print_json(job)
        return
    table(
        ("ID", "TYPE", "STATUS", "%", "PRIORITY", "CREATED", "WHY IT WAITS OR FAILED"),
        (
            (
                job.id,
                job.type,
                job_state(job),
                str(job.progress_percent),
                str(job.priority),
                instant(job.created_at),
                job.waiting_reason or job.error,
            )
            for job in page.jobs
        ),
    )
    more = "" if page.total_is_exact else " or more"
    typer.echo(f"{len(page.jobs)} of {page.total}{more}")


@app.command()
def show(context: typer.Context, job_id: JobArgument, *, json_out: Json = False) -> None:
    """Show everything about one job."""
    run(_show(options_of(context), job_id, json_out=json_out))


async def _show(options: Options, job_id: str, *, json_out: bool) -> None:
    async with options.connection().client() as client:
        job = await client.job(job_id)
    print_json(job) if json_out else print_job(job)


def print_job(job: Job) -> None:
    """Print every field that is set."""
    rows = [
        ("id", job.id),
        ("type", job.type),
        ("status", job_state(job)),
        ("progress", f"{job.progress_percent} %"),
        ("category", category(job.category)),
        ("vram", f"{job.vram_mib} MB"),
        ("priority", f"{job.priority}{' interactive' if job.interactive else ''}"),
        ("parameters", job.params_json),
        ("created", instant(job.created_at)),
        ("started", instant(job.started_at)),
        ("finished", instant(job.finished_at)),
        ("waits because", job.waiting_reason),
        ("queue position", str(job.queue_position or "")),
        ("retries", f"{job.retry_count} of {job.max_retries}"),
        ("retry after", instant(job.retry_after)),
        ("runs at", instant(job.run_at)),
        ("cancel asked", instant(job.cancel_requested_at)),
        ("worker", job.worker_id),
        ("parent", job.parent_id),
        ("error", job.error),
        ("result", job.result_json),
    ]
    table(("", ""), (row for row in rows if row[1]))
    for attempt in job.attempts:
        typer.echo(
            f"attempt {attempt.number}: {attempt.outcome or 'under way'} on {attempt.worker_id} "
            f"{instant(attempt.started_at)} {attempt.error}".rstrip(),
        )


@app.command()
def submit(
    context: typer.Context,
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="The job type.")],
    *,
    params: Annotated[str, typer.Option(help="Parameters as JSON, or @FILE.")] = "{}",
    param: Annotated[list[str] | None, typer.Option(help="One parameter, key=value (repeatable).")] = None,
    priority: Annotated[int, typer.Option(min=1, max=10, help="1 is most urgent.")] = 5,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end.")] = False,
    json_out: Json = False,
) -> None:
    """Submit one job."""
    run(
        _submit(
            options_of(context),
            job_type,
            _params(params, param or []),
            priority,
            wait=wait,
            json_out=json_out,
        )
    )


async def _submit(
    options: Options,
    job_type: str,
    params: str,
    priority: int,
    *,
    wait: bool,
    json_out: bool,
) -> int:
    async with options.connection().client() as client:
        new = NewJob(type=job_type, params_json=params, priority=priority)
        (submitted,) = await client.submit([new])
        if not wait:
            print_json(submitted) if json_out else typer.echo(submitted.id)
            return 0
        async for changed in client.watch([submitted.id]):
            if changed and changed[0].state > JobState.JOB_STATE_PAUSED:
                job = await client.job(submitted.id)
                print_json(job) if json_out else print_job(job)
                return 0 if job.state == JOB_STATE_COMPLETED else 1
    return 1


@app.command()
def cancel(context: typer.Context, job_id: JobArgument, *, json_out: Json = False) -> None:
    """End a job: at once where it waits, else when its worker confirms."""
    run(_steer(options_of(context), job_id, "cancel", json_out=json_out))


@app.command()
def retry(context: typer.Context, job_id: JobArgument, *, json_out: Json = False) -> None:
    """Put a failed or cancelled job back into the queue."""
    run(_steer(options_of(context), job_id, "retry", json_out=json_out))


async def _steer(options: Options, job_id: str, action: str, *, json_out: bool) -> None:
    async with options.connection().client() as client:
        job = await (client.cancel(job_id) if action == "cancel" else client.retry(job_id))
    asked = " (asked of its worker)" if job.cancel_requested_at.ByteSize() else ""
    print_json(job) if json_out else typer.echo(f"{job.id} {job_state(job)}{asked}")


@app.command()
def logs(
    context: typer.Context,
    job_id: JobArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    json_out: Json = False,
) -> None:
    """Print a job's log."""
    run(_logs(options_of(context), job_id, follow=follow, json_out=json_out))


async def _logs(options: Options, job_id: str, *, follow: bool, json_out: bool) -> None:
    async with options.connection().client() as client:
        async for text in client.read_log(job_id, follow=follow):
            if json_out:
                print_json({"text": text})
            else:
                sys.stdout.write(text)
            sys.stdout.flush()


def _state(name: str) -> JobState.ValueType:
    try:
        return JobState.Value(f"JOB_STATE_{name.upper()}")
    except ValueError:
        known = ", ".join(key.removeprefix("JOB_STATE_").lower() for key in JobState.keys()[1:])
        message = f"{name!r} is no status; known are {known}"
        raise InvalidError(message, field="--status") from None


def _params(text: str, pairs: list[str]) -> str:
    try:
        content = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        value: object = json.loads(content)
    except (OSError, ValueError) as error:
        message = f"is neither JSON nor @FILE: {error}"
        raise InvalidError(message, field="--params") from None
    if not isinstance(value, dict):
        message = "must be a JSON object"
        raise InvalidError(message, field="--params")
    for pair in pairs:
        key, equals, raw = pair.partition("=")
        if not equals:
            message = f"{pair!r} is not key=value"
            raise InvalidError(message, field="--param")
        try:
            value[key] = json.loads(raw)
        except ValueError:
            value[key] = raw
    return json.dumps(value)
