"""``callsheet verify``: judge a recorded history of a queue."""

from pathlib import Path
from typing import Annotated

import typer

from callsheet.cli.commands import AsJson, report
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import Output
from callsheet.errors import CallsheetError, InvalidError

app = typer.Typer()


@app.command("verify")
def verify(
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="The recorded history, one JSON object a line.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Judge a recorded history: was anything lost, done twice, or otherwise than promised?"""
    try:
        code = _judge(history, Output(as_json=as_json))
    except CallsheetError as error:
        code = report(error)
    raise typer.Exit(code)


def _judge(path: Path, output: Output) -> ExitCode:
    from callsheet.verify.history import read  # noqa: PLC0415 -- other commands need none of it
    from callsheet.verify.judge import as_document, as_text, judge  # noqa: PLC0415 -- the same

    try:
        with path.open("rb") as lines:
            verdict = judge(read(lines))
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}", field="HISTORY") from None
    except InvalidError as error:
        raise InvalidError(f"{path}: {error.message}", field="HISTORY") from None
    if output.as_json:
        output.document(as_document(verdict))
    else:
        for line in as_text(verdict):
            output.say(line)
    return ExitCode.OK if verdict.holds else ExitCode.FAILED
