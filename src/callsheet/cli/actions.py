"""What ``callsheet jobs`` does to some jobs or to all that match: cancel, retry, pause and the like."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from callsheet.cli.choices import job_state_text
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.filters import Filter
from callsheet.client import Client
from callsheet.client.steering import ACTED_ON
from callsheet.errors import InvalidError
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, JobAction, ListJobsRequest, RefusedAction

#: Refused jobs that are told of people one by one.
REFUSED_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that can be done to jobs."""

    name: str
    action: JobAction.ValueType
    help: str
    past: str
    """What was done, such as ``cancelled``."""
    one: Callable[[Client, str, int], Awaitable[Job]]
    """Does it to one job; the number is the new priority."""
    said: Callable[[Job], str]
    """A sentence about the job afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Parameters of a command that say to which jobs."""

    job_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The jobs; or choose them by --all-matching.")
    ] = None
    all_matching: Annotated[
        bool,
        typer.Option(
            "--all-matching",
            help="All jobs that pass the filters below; without --state, those that this is meant for.",
        ),
    ] = False
    chosen: Filter
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --all-matching.")] = False


CANCEL: Final = Verb(
    name="cancel",
    action=JobAction.JOB_ACTION_CANCEL,
    help="End jobs: at once where they wait, when their workers confirm where they run.",
    past="cancelled",
    one=lambda client, job_id, _: client.cancel(job_id, requested_by="callsheet jobs cancel"),
    said=lambda job: _confirmed(
        job, JobState.JOB_STATE_CANCELLED, "Cancelled.", "Asked to end; it is cancelled"
    ),
)
RETRY: Final = Verb(
    name="retry",
    action=JobAction.JOB_ACTION_RETRY,
    help="Put failed or cancelled jobs back into the queue.",
    past="put back into the queue",
    one=lambda client, job_id, _: client.retry(job_id),
    said=lambda _: "Back in the queue.",
)
PAUSE: Final = Verb(
    name="pause",
    action=JobAction.JOB_ACTION_PAUSE,
    help="Hold jobs back: at once where they wait, at the next checkpoint where they run and can be paused.",
    past="paused",
    one=lambda client, job_id, _: client.pause(job_id),
    said=lambda job: _confirmed(job, JobState.JOB_STATE_PAUSED, "Paused.", "Asked to pause; it is paused"),
)
RESUME: Final = Verb(
    name="resume",
    action=JobAction.JOB_ACTION_RESUME,
    help="Let paused jobs wait for their turn again.",
    past="resumed",
    one=lambda client, job_id, _: client.resume(job_id),
    said=lambda job: f"Resumed; it is {job_state_text(job)}.",
)
PRIORITIZE: Final = Verb(
    name="prioritize",
    action=JobAction.JOB_ACTION_PRIORITIZE,
    help="Make jobs more or less urgent. What runs is not interrupted by it.",
    past="given the new priority",
    one=lambda client, job_id, priority: client.prioritize(job_id, priority),
    said=lambda job: f"Its priority is {job.priority}.",
)


def add_actions(app: typer.Typer) -> None:
    """Register the commands of this module with *app*."""
    for verb in (CANCEL, RETRY, PAUSE, RESUME):
        _add(app, verb)
    command(app, PRIORITIZE.name)(_prioritize)


def _add(app: typer.Typer, verb: Verb) -> None:
    async def act(reach: Reach, wanted: Wanted) -> ExitCode:
        return await _act(reach, verb, wanted)

    act.__doc__ = verb.help
    command(app, verb.name)(act)


async def _prioritize(
    reach: Reach,
    *,
    to: Annotated[int, typer.Option(min=1, max=10, help="The new priority; 1 is the most urgent.")],
    wanted: Wanted,
) -> ExitCode:
    """Make jobs more or less urgent. What runs is not interrupted by it."""
    return await _act(reach, PRIORITIZE, wanted, priority=to)


async def _act(reach: Reach, verb: Verb, wanted: Wanted, *, priority: int = 0) -> ExitCode:
    ids = wanted.job_ids or ()
    if bool(ids) == wanted.all_matching or (ids and not wanted.chosen.is_empty):
        raise InvalidError("name jobs by their ids, or choose them by --all-matching and filters", field="ID")
    if len(ids) == 1:
        job = await verb.one(reach.client, ids[0], priority)
        if reach.output.as_json:
            reach.output.document(job)
        else:
            reach.output.say(verb.said(job))
        return ExitCode.OK
    request = ActOnJobsRequest(
        action=verb.action, ids=ids, priority=priority, requested_by=f"callsheet jobs {verb.name}"
    )
    if wanted.all_matching:
        request.filter.CopyFrom(wanted.chosen.on_wire())
        if not await _is_meant(reach, verb, request.filter, sure=wanted.yes):
            return ExitCode.INTERRUPTED
    return await _act_on_many(reach, verb, request)


async def _is_meant(reach: Reach, verb: Verb, chosen: ListJobsRequest, *, sure: bool) -> bool:
    """Say how many jobs match, and ask on a terminal whether to go on."""
    counted = ListJobsRequest()
    counted.CopyFrom(chosen)
    counted.states.extend(() if chosen.states else ACTED_ON[verb.action])
    counted.page_size = 1
    page = await reach.client.jobs_page(counted)
    many = f"{'' if page.total_is_exact else 'more than '}{page.total:,} jobs match"
    if sure or reach.output.as_json or not sys.stdin.isatty():
        reach.output.remark(f"{many}.")
        return True
    return not page.total or typer.confirm(f"{many}. {verb.name.capitalize()} them?", err=True)


async def _act_on_many(reach: Reach, verb: Verb, request: ActOnJobsRequest) -> ExitCode:
    done = 0
    refused: list[RefusedAction] = []
    async with aclosing(reach.client.act(request)) as answers:
        async for answer in answers:
            done += len(answer.done_ids)
            refused += answer.refused
            if reach.output.as_json:
                for job_id in answer.done_ids:
                    reach.output.document({"id": job_id, "done": True, "reason": None})
                for one in answer.refused:
                    reach.output.document({"id": one.id, "done": False, "reason": one.reason})
    if not reach.output.as_json:
        _tell(reach, verb, done, refused)
    return ExitCode.STATE if refused else ExitCode.OK


def _tell(reach: Reach, verb: Verb, done: int, refused: Sequence[RefusedAction]) -> None:
    jobs = "1 job" if done == 1 else f"{done:,} jobs"
    asked = ", or asked of their workers" if verb in (CANCEL, PAUSE) and done else ""
    reach.output.say(f"{jobs} {verb.past}{asked}.")
    if refused:
        reach.output.remark(f"Not possible for {len(refused):,}:")
    for one in refused[:REFUSED_SHOWN_MAX]:
        reach.output.remark(f"  {one.id}: {one.reason}")
    if len(refused) > REFUSED_SHOWN_MAX:
        reach.output.remark(f"  and {len(refused) - REFUSED_SHOWN_MAX:,} more, which --json tells")


def _confirmed(job: Job, state: JobState.ValueType, done: str, asked: str) -> str:
    return done if job.state == state else f"{asked} when its worker confirms."
