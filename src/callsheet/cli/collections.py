"""``callsheet collections``: jobs and items under one slug."""

import asyncio
from contextlib import aclosing
from typing import Annotated, Final

import typer

from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import enum_text
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant, rfc3339
from callsheet.v1.job_pb2 import JobState
from callsheet.v1.library_service_pb2 import Collection

app = typer.Typer(help="See jobs by the collection that they belong to.", no_args_is_help=True)

COLUMNS: Final = ("COLLECTION", "TITLE", "DONE>", "JOBS>", "FAILED>", "RUNNING>", "CREATED", "END EXPECTED")

#: Seconds between two looks at a collection that is waited for.
LOOK_S: Final = 0.5

SlugArgument = Annotated[str, typer.Argument(metavar="SLUG", help="The collection's slug.")]


@command(app, "list")
async def list_collections(
    reach: Reach,
    *,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 50,
) -> ExitCode:
    """List collections by slug, with their progress."""
    shown: list[Collection] = []
    count = 0
    async with aclosing(reach.client.collections()) as found:
        async for one in found:
            count += 1
            if reach.output.as_json:
                reach.output.document(one)
            else:
                shown.append(one)
            if count == limit:
                break
    if shown:
        reach.output.table(COLUMNS, [_row(reach, one) for one in shown])
    elif not reach.output.as_json:
        reach.output.remark("No collections.")
    return ExitCode.OK


@command(app, "show")
async def show_collection(reach: Reach, slug: SlugArgument) -> ExitCode:
    """Show a collection with its progress."""
    _show(reach, await reach.client.collection(slug))
    return ExitCode.OK


@command(app, "create")
async def create_collection(
    reach: Reach,
    slug: SlugArgument,
    *,
    title: Annotated[str, typer.Option(help="Its name for people.")] = "",
) -> ExitCode:
    """Make a collection, or give the one that is there another title."""
    _show(reach, await reach.client.create_collection(slug, title))
    return ExitCode.OK


@command(app, "wait")
async def wait_for_collection(reach: Reach, slug: SlugArgument) -> ExitCode:
    """Wait until every job of a collection is final; fails if one failed or was cancelled."""
    told = ""
    while (one := await reach.patient.collection(slug)).done < one.total:
        text = f"{slug}: {_counts(one)}"
        if text != told:
            reach.output.remark(text)
            told = text
        await asyncio.sleep(LOOK_S)
    _show(reach, one)
    return ExitCode.OK if count_of(one, JobState.JOB_STATE_COMPLETED) == one.total else ExitCode.FAILED


def count_of(one: Collection, state: JobState.ValueType) -> int:
    """Return how many jobs of a collection are in a state."""
    return sum(found.count for found in one.jobs if found.state == state)


def _counts(one: Collection) -> str:
    parts = [f"{found.count} {enum_text(JobState.DESCRIPTOR, found.state)}" for found in one.jobs]
    return f"{one.done} of {one.total} done" + (f" ({', '.join(parts)})" if parts else "")


def _row(reach: Reach, one: Collection) -> tuple[str, ...]:
    created_at, end_at = instant(one.created_at), instant(one.predicted_end_at)
    return (
        one.slug,
        one.title,
        str(one.done),
        str(one.total),
        str(count_of(one, JobState.JOB_STATE_FAILED) or ""),
        str(count_of(one, JobState.JOB_STATE_RUNNING) or ""),
        ago_text(created_at, reach.now) if created_at else "",
        (rfc3339(one.predicted_end_at) or "") if end_at else "",
    )


def _show(reach: Reach, one: Collection) -> None:
    if reach.output.as_json:
        reach.output.document(one)
        return
    facts = [("collection", one.slug), ("title", one.title), ("jobs", _counts(one))]
    for name, stamp in (
        ("created", one.created_at),
        ("first started", one.started_at),
        ("finished", one.finished_at),
        ("expected to end", one.predicted_end_at),
    ):
        at = instant(stamp)
        facts.append((name, f"{rfc3339(stamp)} ({ago_text(at, reach.now)})" if at else ""))
    reach.output.facts([(name, value) for name, value in facts if value])
