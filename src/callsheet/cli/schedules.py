"""``callsheet schedules``: jobs that are submitted again and again."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer
from google.protobuf.duration_pb2 import Duration
from rich.text import Text

from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant
from callsheet.cli.jobs import params_object
from callsheet.cli.output import state_cell
from callsheet.errors import NotFoundError
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.schedule_service_pb2 import AddScheduleRequest, CatchUp, ChangeScheduleRequest, Schedule

app = typer.Typer(help="Submit jobs again and again, by the clock.", no_args_is_help=True)

COLUMNS: Final = ("SCHEDULE", "STATE", "CRON", "TIME ZONE", "JOB", "NEXT", "LAST", "LAST JOB", "NOTE")


class CatchUpChoice(StrEnum):
    """What happens to ticks that nobody was there to fire."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
ZoneOption = Annotated[str, typer.Option("--zone", metavar="ZONE", help="The time zone, as Europe/Berlin.")]
JitterOption = Annotated[
    float | None,
    typer.Option("--jitter", min=0, metavar="SECONDS", help="Submit each job up to so much later."),
]
CatchUpOption = Annotated[
    CatchUpChoice | None,
    typer.Option("--catch-up", help="Which runs to make up for that were missed; `last` without it."),
]
MostOption = Annotated[
    int, typer.Option("--catch-up-max", min=0, max=100, metavar="RUNS", help="With `all`: how many at most.")
]
ParamsOption = Annotated[
    str,
    typer.Option(help="The job's parameters, a JSON object; @FILE reads it, @- from standard input."),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="One parameter; JSON where it can be, else text. Repeatable."),
]
PriorityOption = Annotated[int | None, typer.Option(min=1, max=10, help="1 is the most urgent.")]
RetriesOption = Annotated[int | None, typer.Option(min=0, max=20, help="Automatic retries.")]
UniqueOption = Annotated[
    str,
    typer.Option("--unique", metavar="KEY", help="No run begins while a job of this key is not final."),
]


CollectionOption = Annotated[str, typer.Option(metavar="SLUG", help="The collection of its jobs.")]


@command(app, "list")
async def list_schedules(reach: Reach) -> ExitCode:
    """List the schedules with their last and next runs."""
    schedules = await reach.client.schedules()
    if reach.output.as_json:
        for schedule in schedules:
            reach.output.document(schedule)
    elif not schedules:
        reach.output.remark("No schedules.")
    else:
        _show(reach, schedules)
    return ExitCode.OK


@command(app, "add")
async def add_schedule(  # noqa: PLR0913 -- each option is one parameter
    reach: Reach,
    name: NameArgument,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="Such as '0 3 * * *': daily at three.")],
    job_type: Annotated[str, typer.Argument(metavar="TYPE", help="The job type; see `types list`.")],
    *,
    zone: ZoneOption = "UTC",
    jitter_s: JitterOption = None,
    catch_up: CatchUpOption = None,
    catch_up_max: MostOption = 0,
    params: ParamsOption = "",
    param: ParamOption = None,
    priority: PriorityOption = None,
    max_retries: RetriesOption = None,
    unique_key: UniqueOption = "",
    collection: CollectionOption = "",
) -> ExitCode:
    """Submit a job again and again. Its first run is the next that CRON names."""
    values = await asyncio.to_thread(params_object, params, param or ())
    wanted = AddScheduleRequest(
        name=name,
        cron=cron,
        time_zone=zone,
        jitter=_duration(jitter_s),
        catch_up=_on_wire(catch_up),
        catch_up_max=catch_up_max,
        job=NewJob(
            type=job_type,
            params_json=json.dumps(values),
            priority=priority or 0,
            max_retries=max_retries,
            unique_key=unique_key,
            collection=collection,
        ),
    )
    return _answer(reach, await reach.client.add_schedule(wanted))


@command(app, "change")
async def change_schedule(  # noqa: PLR0913 -- each option is one parameter
    reach: Reach,
    name: NameArgument,
    *,
    cron: Annotated[str, typer.Option(metavar="CRON", help="When.")] = "",
    zone: ZoneOption = "",
    jitter_s: JitterOption = None,
    catch_up: CatchUpOption = None,
    catch_up_max: MostOption = 0,
    params: ParamsOption = "",
    param: ParamOption = None,
    priority: PriorityOption = None,
    max_retries: RetriesOption = None,
    unique_key: Annotated[
        str | None,
        typer.Option(
            "--unique", metavar="KEY", help="No run begins while a job of this key is not final; '' for none."
        ),
    ] = None,
) -> ExitCode:
    """Change what is given; the rest stays. `--param` changes one parameter, `--params` all of them."""
    job = (await reach.client.schedule(name)).job
    before = job.SerializeToString()
    if params or param:
        given = await asyncio.to_thread(params_object, params, param or ())
        known = params_object("" if params else job.params_json, ())
        job.params_json = json.dumps(known | given)
    if priority is not None:
        job.priority = priority
    if max_retries is not None:
        job.max_retries = max_retries
    if unique_key is not None:
        job.unique_key = unique_key
    wanted = ChangeScheduleRequest(
        name=name,
        cron=cron or None,
        time_zone=zone or None,
        jitter=_duration(jitter_s),
        catch_up=_on_wire(catch_up),
        catch_up_max=catch_up_max,
        job=job if job.SerializeToString() != before else None,
    )
    return _answer(reach, await reach.client.change_schedule(wanted))


@command(app, "pause")
async def pause_schedule(reach: Reach, name: NameArgument) -> ExitCode:
    """Submit nothing until `schedules resume`."""
    return _answer(reach, await reach.client.pause_schedule(name))


@command(app, "resume")
async def resume_schedule(reach: Reach, name: NameArgument) -> ExitCode:
    """Go on from the next run; what was due meanwhile is not made up for."""
    return _answer(reach, await reach.client.resume_schedule(name))


@command(app, "run")
async def run_schedule(reach: Reach, name: NameArgument) -> ExitCode:
    """Submit its job now."""
    submitted = await reach.client.run_schedule(name)
    if reach.output.as_json:
        reach.output.document(submitted)
    else:
        reach.output.say(submitted.job_id)
    return ExitCode.OK


@command(app, "remove")
async def remove_schedule(reach: Reach, name: NameArgument) -> ExitCode:
    """Forget a schedule. Its jobs stay."""
    if not await reach.client.remove_schedule(name):
        raise NotFoundError(
            f"there is no schedule {name!r}; `callsheet schedules list` shows those there are"
        )
    if not reach.output.as_json:
        reach.output.say("Removed.")
    return ExitCode.OK


def _answer(reach: Reach, schedule: Schedule) -> ExitCode:
    if reach.output.as_json:
        reach.output.document(schedule)
    else:
        _show(reach, [schedule])
    return ExitCode.OK


def _show(reach: Reach, schedules: Sequence[Schedule]) -> None:
    reach.output.table(COLUMNS, [_row(reach, schedule) for schedule in schedules])


def _row(reach: Reach, schedule: Schedule) -> tuple[str | Text, ...]:
    next_at, last_at = instant(schedule.next_run_at), instant(schedule.last_tick_at)
    return (
        schedule.name,
        state_cell("paused" if schedule.HasField("paused_at") else "open"),
        schedule.cron,
        schedule.time_zone,
        schedule.job.type,
        next_at.strftime("%Y-%m-%d %H:%M:%S") if next_at else "",
        ago_text(last_at, reach.now) if last_at else "",
        schedule.last_job_id,
        schedule.last_error,
    )


def _duration(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    length = Duration()
    length.FromTimedelta(timedelta(seconds=seconds))
    return length


def _on_wire(choice: CatchUpChoice | None) -> CatchUp.ValueType:
    return CatchUp.Value(f"CATCH_UP_{'UNSPECIFIED' if choice is None else choice.name}")
