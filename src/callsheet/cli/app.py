"""The commands of ``callsheet``; other packages add theirs by entry points."""

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli import jobs, library, scan, workers
from callsheet.cli.options import Options

#: The entry point group for further commands.
GROUP = "callsheet.commands"

EPILOG = (
    "Exit codes: 0 done, 1 failed or not found, 2 wrong use or input, 3 not reachable, "
    "4 not possible in this state, 5 no good credential, 130 interrupted."
)

app = typer.Typer(name="callsheet", no_args_is_help=True, epilog=EPILOG, pretty_exceptions_enable=False)
app.command("scan")(scan.scan)
app.add_typer(jobs.app, name="jobs")
app.add_typer(library.app, name="library")
app.add_typer(workers.app, name="workers")


@app.callback()
def callsheet(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Option(envvar="CALLSHEET_DATA", help="The data folder of a running `callsheet up`."),
    ] = Path("var"),
    scheduler: Annotated[
        str | None,
        typer.Option(envvar="CALLSHEET_SCHEDULER", help="host:port of the scheduler."),
    ] = None,
    join_token_file: Annotated[
        Path | None,
        typer.Option(envvar="CALLSHEET_JOIN_TOKEN_FILE", help="A file with the join token."),
    ] = None,
) -> None:
    """See and steer a Callsheet."""
    context.obj = Options(data=data, scheduler=scheduler, join_token_file=join_token_file)


def main() -> None:
    """Run the command line."""
    for entry in entry_points(group=GROUP):
        _add(entry)
    app()


def _add(entry: EntryPoint) -> None:
    try:
        command: object = entry.load()
    except ImportError as error:
        sys.stderr.write(f"callsheet: the command {entry.name} is not available: {error}\n")
        return
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=entry.name)
    elif callable(command):
        app.command(entry.name)(command)


if __name__ == "__main__":
    main()
