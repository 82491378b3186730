"""``callsheet types``: the kinds of work, what their jobs need, and what is decided of them."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from callsheet.cli.choices import category_text
from callsheet.cli.commands import Reach, command
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import duration_text
from callsheet.errors import InvalidError, NotFoundError
from callsheet.v1.job_service_pb2 import (
    ChangeJobTypeRequest,
    FigureSource,
    JobType,
    LearnedNeeds,
    VramCharge,
)

app = typer.Typer(help="See and change what jobs of each type need.", no_args_is_help=True)

#: VRAM is in MiB and what holds, FROM says whose figure it is; LEARNED is the proposal, used or not.
COLUMNS: Final = ("TYPE", "CATEGORY", "VRAM>", "FROM", "LEARNED>", "RUNS>", "MEDIAN>", "95 %>", "DOES")

NEED_COLUMNS: Final = ("NEEDS", "DECLARED>", "CHANGED>", "IN FORCE>", "FROM")

#: Of inputs of each size: how long the newest attempts ran, and what they could do with.
SIZE_COLUMNS: Final = (
    "SIZE",
    "RUNS>",
    "MEDIAN>",
    "95 %>",
    "99 %>",
    "MEASURED>",
    "VRAM 95 %>",
    "VRAM 99 %>",
    "IN FORCE>",
    "FROM",
)

#: Goes back to what a type declares.
DECLARED: Final = "declared"
CHANGED: Final = "changed"

#: Who changed it, as the scheduler keeps it.
REQUESTED_BY: Final = "callsheet types set"

SOURCES: Final = {
    FigureSource.FIGURE_SOURCE_DECLARED: DECLARED,
    FigureSource.FIGURE_SOURCE_CHANGED: CHANGED,
    FigureSource.FIGURE_SOURCE_LEARNED: "learned",
}

SWITCH: Final = {True: "on", False: "off"}

TypeArgument = Annotated[str, typer.Argument(metavar="TYPE", help="The job type; see `types list`.")]


@command(app, "list")
async def list_types(
    reach: Reach,
    *,
    internal: Annotated[
        bool, typer.Option("--internal", help="Also types whose jobs only other jobs submit.")
    ] = False,
) -> ExitCode:
    """List the job types that the scheduler knows."""
    types = await reach.client.job_types(internal=internal)
    if reach.output.as_json:
        for one in types:
            reach.output.document(one)
    else:
        reach.output.table(COLUMNS, [_row(one) for one in types])
    return ExitCode.OK


@command(app, "show")
async def show_type(reach: Reach, job_type: TypeArgument) -> ExitCode:
    """Show what a job type declares, what was decided instead, what is learned, and what is in force."""
    for one in await reach.client.job_types(internal=True):
        if one.name == job_type:
            return _answer(reach, one)
    raise NotFoundError(f"there is no job type {job_type!r}; `callsheet types list` shows those there are")


@command(app, "set")
async def set_type(
    reach: Reach,
    job_type: TypeArgument,
    *,
    vram: Annotated[
        str, typer.Option(metavar="MB", help="What a job needs of a GPU; `declared` goes back.")
    ] = "",
    run_limit: Annotated[
        str, typer.Option(metavar="SECONDS", help="How long an attempt may run; `declared` goes back.")
    ] = "",
    learned: Annotated[
        str,
        typer.Option(
            metavar="on|off", help="Charge new jobs with what is learned of the type; `declared` goes back."
        ),
    ] = "",
) -> ExitCode:
    """Change what jobs of a type need.

    New jobs follow, and in a moment those that wait and have the figure of the type. What runs keeps what it
    has.
    """
    if not (vram or run_limit or learned):
        raise InvalidError("say what to change", field="--vram, --run-limit or --learned")
    wanted = ChangeJobTypeRequest(
        type=job_type,
        vram_mib=_number(vram, field="--vram"),
        run_limit_s=_number(run_limit, field="--run-limit"),
        learns_vram=_switch(learned),
        clear_vram_mib=vram == DECLARED,
        clear_run_limit_s=run_limit == DECLARED,
        clear_learns_vram=learned == DECLARED,
        requested_by=REQUESTED_BY,
    )
    return _answer(reach, await reach.client.change_job_type(wanted))


def _answer(reach: Reach, one: JobType) -> ExitCode:
    if reach.output.as_json:
        reach.output.document(one)
        return ExitCode.OK
    reach.output.table(NEED_COLUMNS, _needs(one))
    if one.learned:
        reach.output.table(SIZE_COLUMNS, [_size_row(known) for known in one.learned])
    return ExitCode.OK


def _row(one: JobType) -> tuple[str, ...]:
    known = one.learned[0] if one.learned else LearnedNeeds()
    return (
        one.name,
        category_text(one.category),
        *_charge(one.charge),
        str(known.vram_mib or ""),
        str(known.runs or ""),
        duration_text(known.median_run_s) if known.runs else "",
        duration_text(known.p95_run_s) if known.runs else "",
        one.description,
    )


def _needs(one: JobType) -> Sequence[tuple[str, ...]]:
    change = one.change
    vram = str(change.vram_mib) if change.HasField("vram_mib") else ""
    limit = str(change.run_limit_s) if change.HasField("run_limit_s") else ""
    learns = SWITCH[change.learns_vram] if change.HasField("learns_vram") else ""
    declared = (str(one.vram_mib), str(one.run_limit_s), SWITCH[one.learns_vram])
    return [
        ("VRAM in MB", declared[0], vram, str(one.charge.vram_mib), SOURCES.get(one.charge.source, "")),
        ("run limit in s", declared[1], limit, limit or declared[1], CHANGED if limit else DECLARED),
        ("learned VRAM", declared[2], learns, learns or declared[2], CHANGED if learns else DECLARED),
    ]


def _size_row(known: LearnedNeeds) -> tuple[str, ...]:
    return (
        str(known.size_class) if known.HasField("size_class") else "all",
        str(known.runs),
        duration_text(known.median_run_s),
        duration_text(known.p95_run_s),
        duration_text(known.p99_run_s),
        str(known.vram_runs or ""),
        str(known.vram_mib or ""),
        str(known.p99_vram_mib or ""),
        *_charge(known.charge),
    )


def _charge(charge: VramCharge) -> tuple[str, str]:
    """Return the figure and whose it is; nothing for none."""
    return (str(charge.vram_mib), SOURCES.get(charge.source, "")) if charge.vram_mib else ("", "")


def _number(text: str, *, field: str) -> int | None:
    if not text or text == DECLARED:
        return None
    if not text.isascii() or not text.isdigit():
        raise InvalidError(f"{text!r} is no whole number; `{DECLARED}` goes back", field=field)
    return int(text)


def _switch(text: str) -> bool | None:
    if not text or text == DECLARED:
        return None
    if text not in SWITCH.values():
        raise InvalidError(f"must be on, off or {DECLARED}, not {text!r}", field="--learned")
    return text == SWITCH[True]
