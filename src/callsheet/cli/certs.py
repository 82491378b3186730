"""``callsheet certs``: a CA of one's own, and what it issues. Nothing here asks a scheduler."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue
from rich.text import Text

from callsheet.authority import issue_into, make_authority, read_authority
from callsheet.cli.commands import AsJson, report
from callsheet.cli.exits import ExitCode
from callsheet.cli.output import Output, state_cell
from callsheet.errors import CallsheetError
from callsheet.identities import MEANINGS, Identity, Role
from callsheet.service.clock import SystemClock
from callsheet.tls import Credentials, read_credentials

app = typer.Typer(help="Make a CA, issue certificates and look at them.", no_args_is_help=True)

Days = Annotated[int, typer.Option("--days", min=1, max=36_500, help="For how many days it holds.")]
CaFolder = Annotated[Path, typer.Option("--ca", metavar="DIR", help="The folder of `callsheet certs init`.")]

IntoFolder = Annotated[
    Path, typer.Option("--into", metavar="DIR", help="Where ca.crt, tls.crt and tls.key go.")
]
ROLES: Final = "Roles: " + "; ".join(f"{role} {MEANINGS[role]}" for role in Role) + "."


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the CA will lie.")],
    *,
    days: Days = 3650,
) -> None:
    """Make a CA: ca.crt, which everybody needs, and ca.key, which nobody but you may have."""

    def main() -> ExitCode:
        make_authority(folder, now=SystemClock().now(), life=timedelta(days=days))
        Output(as_json=False).remark(f"Made a CA in {folder}. Keep {folder / 'ca.key'} off the hosts.")
        return ExitCode.OK

    _run(main)


@app.command("issue", epilog=ROLES)
def issue(
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="What it is for.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for, such as the host's name.")],
    *,
    ca: CaFolder,
    into: IntoFolder,
    days: Days = 90,
    spare_days: Annotated[
        int | None,
        typer.Option("--unless-days", min=0, help="Leave alone one that holds for more days than these."),
    ] = None,
) -> None:
    """Issue a certificate, or renew the one that is there; who uses it takes the new one by itself."""

    def main() -> ExitCode:
        identity = Identity.named(role, name)
        until = issue_into(
            into,
            read_authority(ca),
            identity,
            now=SystemClock().now(),
            life=timedelta(days=days),
            spare=None if spare_days is None else timedelta(days=spare_days),
        )
        said = f"Issued {identity.uri} into {into}: name it in CALLSHEET_TLS_DIR."
        if until is not None:
            said = f"{identity.uri} in {into} holds until {until:%Y-%m-%d}."
        Output(as_json=False).remark(said)
        return ExitCode.OK

    _run(main)


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that CALLSHEET_TLS_DIR names.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show whom a certificate speaks for and until when, and what is wrong with it."""

    def main() -> ExitCode:
        credentials, now = read_credentials(folder), SystemClock().now()
        trouble = credentials.trouble(now)
        output = Output(as_json=as_json)
        if as_json:
            output.document(_document(credentials, trouble))
        else:
            days = (credentials.ends_at - now) // timedelta(days=1)
            output.facts(_facts(credentials, days, trouble))
        return ExitCode.FAILED if trouble else ExitCode.OK

    _run(main)


def _document(credentials: Credentials, trouble: str) -> dict[str, JsonValue]:
    return {
        "role": credentials.identity.role.value,
        "name": credentials.identity.name,
        "uri": credentials.identity.uri,
        "begins_at": credentials.begins_at.isoformat(),
        "ends_at": credentials.ends_at.isoformat(),
        "trouble": trouble,
    }


def _facts(credentials: Credentials, days: int, trouble: str) -> list[tuple[str, str | Text]]:
    return [
        ("identity", credentials.identity.uri),
        ("begins", f"{credentials.begins_at:%Y-%m-%d %H:%M} UTC"),
        ("ends", f"{credentials.ends_at:%Y-%m-%d %H:%M} UTC, in {days} days"),
        ("state", trouble or state_cell("ok")),
    ]


def _run(main: Callable[[], ExitCode]) -> None:
    try:
        code = main()
    except CallsheetError as error:
        code = report(error)
    raise typer.Exit(code)
