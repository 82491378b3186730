"""``callsheet simulate``: what a job mix would wait on a fleet, under each policy."""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli.commands import AsJson, DataFolder, JoinTokenFile, Scheduler, TlsDir, report
from callsheet.cli.connection import find_connection
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import Output
from callsheet.errors import CallsheetError
from callsheet_scheduler.domain.patience import Policy

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The jobs and the fleet, as TOML; see --example.", readable=False),
]
PolicyOption = Annotated[
    list[Policy] | None, typer.Option("--policy", help="Only this policy; repeatable. All by default.")
]
LoadOption = Annotated[
    float | None, typer.Option("--load", min=0.01, max=10, help="Instead of the load in the file.")
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, max=10_000_000, help="Instead of the jobs in the file.")
]
RunsOption = Annotated[
    int,
    typer.Option("--runs", min=1, max=1_000, help="Seeds, from --seed on; figures are of all of them."),
]
ChartOption = Annotated[
    Path | None,
    typer.Option("--chart", readable=False, help="Write tables and bars to this file, .svg or .html."),
]
FromServer = Annotated[
    bool,
    typer.Option(
        "--from-server",
        help="Take run times and needs as the running scheduler has learned them; without FILE its fleet "
        "and all of its job types.",
    ),
]
ExampleOption = Annotated[
    bool,
    typer.Option(
        "--example", help="Print a file to begin with; with --from-server what that would simulate."
    ),
]


def app(  # noqa: PLR0913 -- each is an option of the command
    file: FileArgument = None,
    *,
    policy: PolicyOption = None,
    load: LoadOption = None,
    jobs: JobsOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What chance begins with.")] = 1,
    runs: RunsOption = 1,
    chart: ChartOption = None,
    from_server: FromServer = False,
    example: ExampleOption = False,
    scheduler: Scheduler = None,
    join_token_file: JoinTokenFile = None,
    tls_dir: TlsDir = None,
    data: DataFolder = Path("var"),
    as_json: AsJson = False,
) -> None:
    """Run a job mix on a fleet by the scheduler's own engine, in virtual time, under each policy.

    Nothing is started, and no scheduler is asked but by --from-server.
    """
    from callsheet_scheduler.simulate.own import as_toml, wanted_mix  # noqa: PLC0415 -- other commands need none of it
    from callsheet_scheduler.simulate.study import Wish, study  # noqa: PLC0415 -- as above

    if example and not from_server:
        sys.stdout.write(files("callsheet_scheduler.simulate").joinpath("example.toml").read_text("utf-8"))
        return

    try:
        connection = None
        if from_server:
            connection = find_connection(
                scheduler=scheduler, join_token_file=join_token_file, data=data, tls_dir=tls_dir
            )
        mix = wanted_mix(file, connection)
        if example:
            sys.stdout.write(as_toml(mix))
            return
        wish = Wish(
            mix=mix,
            folder=Path() if file is None else file.parent,
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
