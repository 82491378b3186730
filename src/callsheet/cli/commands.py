"""Makes a command of an async function: connection options, ``--json``, errors as exit codes."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, cast

import typer

from callsheet.acting import acting_as, me
from callsheet.cli.connection import Connection, find_connection
from callsheet.cli.exits import ExitCode, exit_code_of
from callsheet.cli.output import Output, make_console
from callsheet.client import Client, Patience
from callsheet.errors import CallsheetError, InvalidError
from callsheet.service.clock import Clock, SystemClock

P = ParamSpec("P")

#: How long a command waits for a scheduler that does not answer, and one that waits for jobs.
PATIENCE: Final = Patience(total_s=4.0)
LONG_PATIENCE: Final = Patience(total_s=60.0)

Scheduler = Annotated[
    str | None,
    typer.Option(
        envvar="CALLSHEET_SCHEDULER",
        help="The scheduler, HOST:PORT, several separated by commas.",
        rich_help_panel="Connection",
    ),
]
JoinTokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar="CALLSHEET_JOIN_TOKEN_FILE",
        help="A file with the join token, where the scheduler wants one.",
        rich_help_panel="Connection",
    ),
]
TlsDir = Annotated[
    Path | None,
    typer.Option(
        envvar="CALLSHEET_TLS_DIR",
        help="A folder with ca.crt, tls.crt and tls.key, where the scheduler speaks TLS.",
        rich_help_panel="Connection",
    ),
]
DataFolder = Annotated[
    Path,
    typer.Option(
        envvar="CALLSHEET_DATA",
        help="The folder of `callsheet up`, which says where its scheduler is.",
        rich_help_panel="Connection",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="One JSON document on standard output; lists and logs are one object a line.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a command can reach."""

    client: Client
    connection: Connection
    output: Output
    clock: Clock

    @property
    def now(self) -> datetime:
        """The instant."""
        return self.clock.now()

    @property
    def patient(self) -> Client:
        """The same client with the patience to outlast a scheduler's restart."""
        return self.client.with_patience(LONG_PATIENCE)


Command = Callable[Concatenate[Reach, P], Coroutine[object, object, ExitCode]]


def command(app: typer.Typer, name: str) -> Callable[[Command[P]], Command[P]]:
    """Register an async function as the command *name* of *app*.

    It is given a `Reach` first, and its other parameters are the command's own: one that is annotated with a
    dataclass stands for the parameters that are its fields. Every command gets the connection options and
    ``--json`` besides.
    """

    def register(function: Command[P]) -> Command[P]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def call(
            *,
            scheduler: Scheduler = None,
            join_token_file: JoinTokenFile = None,
            tls_dir: TlsDir = None,
            data: DataFolder = Path("var"),
            as_json: AsJson = False,
            **arguments: Any,  # noqa: ANN401 -- typer passes what the signature below says
        ) -> None:
            async def main() -> ExitCode:
                connection = find_connection(
                    scheduler=scheduler, join_token_file=join_token_file, data=data, tls_dir=tls_dir
                )
                async with connection.client(PATIENCE, said=acting_as(me())) as client:
                    reach = Reach(
                        client=client,
                        connection=connection,
                        output=Output(as_json=as_json),
                        clock=SystemClock(),
                    )
                    run = cast("Callable[..., Coroutine[object, object, ExitCode]]", function)
                    return await run(reach, **{one.name: _gathered(one, arguments) for one in own})

            raise typer.Exit(run_command(main))

        _sign(call, function, own)
        app.command(name)(call)
        return function

    return register


def run_command(main: Callable[[], Coroutine[object, object, ExitCode]]) -> ExitCode:
    """Run *main* and return its code; an error of the tree is one line on standard error."""
    try:
        with asyncio.Runner() as runner:
            return runner.run(main())
    except CallsheetError as error:
        return report(error)
    except KeyboardInterrupt:
        make_console(stderr=True).print("Interrupted.")
        return ExitCode.INTERRUPTED


def report(error: CallsheetError) -> ExitCode:
    """Write *error* as one line to standard error and return its code."""
    field = f"{error.field}: " if isinstance(error, InvalidError) and error.field else ""
    Output(as_json=False).remark(f"Error: {field}{error.message}")
    return exit_code_of(error)


def _sign(call: Callable[..., None], function: Callable[..., object], own: list[Parameter]) -> None:
    """Give *call* the name, help and parameters of *function*, and keep its own options behind them."""
    flat = [single for one in own for single in _singles(one)]
    shared = [
        parameter
        for parameter in inspect.signature(call, eval_str=True).parameters.values()
        if parameter.kind is not Parameter.VAR_KEYWORD
    ]
    parameters = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in (*flat, *shared)]
    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(call)["__signature__"] = inspect.Signature(parameters)


def _fields(parameter: Parameter) -> Iterable[Parameter]:
    """Return the parameters that one stands for; none where it stands for itself."""
    group = parameter.annotation
    if not isinstance(group, type) or not is_dataclass(group):
        return ()
    return inspect.signature(group, eval_str=True).parameters.values()


def _singles(parameter: Parameter) -> list[Parameter]:
    fields = _fields(parameter)
    return [single for one in fields for single in _singles(one)] or [parameter]


def _gathered(parameter: Parameter, arguments: Mapping[str, object]) -> object:
    """Return the value of a parameter from *arguments*, which are all single."""
    fields = {one.name: _gathered(one, arguments) for one in _fields(parameter)}
    return parameter.annotation(**fields) if fields else arguments[parameter.name]
