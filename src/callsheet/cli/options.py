"""What every command is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli.connection import Connection, find_connection

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options before the command."""

    data: Path
    scheduler: str | None
    join_token_file: Path | None

    def connection(self) -> Connection:
        """Return where the scheduler is."""
        return find_connection(self.data, self.scheduler, self.join_token_file)


def options_of(context: typer.Context) -> Options:
    """Return the options before the command."""
    options: object = context.obj
    if not isinstance(options, Options):
        message = "the command line was not entered by its main function"
        raise TypeError(message)
    return options
