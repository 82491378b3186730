"""``callsheet simulate``: what a job mix would wait on a fleet, under each policy."""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli.commands import AsJson, report
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import Output
from callsheet.errors import CallsheetError, InvalidError
from callsheet_scheduler.domain.patience import Policy


def app(  # noqa: PLR0913 -- each is an option of the command
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The jobs and the fleet, as TOML; see --example.", readable=False
        ),
    ] = None,
    *,
    policy: Annotated[
        list[Policy] | None, typer.Option("--policy", help="Only this policy; repeatable. All by default.")
    ] = None,
    load: Annotated[
        float | None, typer.Option("--load", min=0.01, max=10, help="Instead of the load in the file.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=10_000_000, help="Instead of the jobs in the file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What chance begins with.")] = 1,
    runs: Annotated[
        int,
        typer.Option("--runs", min=1, max=1_000, help="Seeds, from --seed on; figures are of all of them."),
    ] = 1,
    chart: Annotated[
        Path | None,
        typer.Option("--chart", readable=False, help="Write tables and bars to this file, .svg or .html."),
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a file to begin with.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a job mix on a fleet by the scheduler's own engine, in virtual time, under each policy.

    Nothing is started and no scheduler is asked.
    """
    from callsheet_scheduler.simulate.study import Wish, study  # noqa: PLC0415 -- other commands need none of it

    if example:
        sys.stdout.write(files("callsheet_scheduler.simulate").joinpath("example.toml").read_text("utf-8"))
        return
    try:
        if file is None:
            raise InvalidError("name a file, or print one by --example", field="FILE")
        wish = Wish(
            file=file,
            policies=tuple(dict.fromkeys(policy or Policy)),
            load=load,
            jobs=jobs,
            seeds=tuple(range(seed, seed + runs)),
            chart=chart,
        )
        code = study(wish, Output(as_json=as_json))
    except CallsheetError as error:
        code = report(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    raise typer.Exit(code)
