"""Puts the command line together and runs it."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import typer

from callsheet.cli import (
    access,
    cache,
    certs,
    collections,
    doctor,
    fleet,
    gpus,
    jobs,
    library,
    models,
    queues,
    scan,
    schedules,
    top,
    types,
    verify,
)
from callsheet.cli.commands import report
from callsheet.cli.exits import MEANINGS
from callsheet.cli.plug_ins import add_commands
from callsheet.errors import CallsheetError

BUILT_IN: Final = frozenset(
    {
        "scan",
        "cache",
        "certs",
        "doctor",
        "jobs",
        "collections",
        "queues",
        "schedules",
        "library",
        "models",
        "fleet",
        "gpus",
        "keys",
        "audit",
        "top",
        "types",
        "verify",
    }
)

EXIT_CODES: Final = (
    "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()) + "."
)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line for *arguments*: what is not asked for is not loaded."""
    app = typer.Typer(
        name="callsheet",
        help="A job queue for media.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.registered_commands += scan.app.registered_commands
    app.registered_commands += doctor.app.registered_commands
    app.registered_commands += verify.app.registered_commands
    app.add_typer(jobs.app, name="jobs")
    app.add_typer(types.app, name="types")
    app.add_typer(queues.app, name="queues")
    app.add_typer(collections.app, name="collections")
    app.add_typer(schedules.app, name="schedules")
    app.add_typer(library.app, name="library")
    app.add_typer(cache.app, name="cache")
    app.add_typer(models.app, name="models")
    app.add_typer(fleet.app, name="fleet")
    app.add_typer(certs.app, name="certs")
    app.add_typer(access.keys, name="keys")
    app.add_typer(access.audit, name="audit")
    app.registered_commands += gpus.app.registered_commands
    app.registered_commands += top.app.registered_commands
    add_commands(app, known=BUILT_IN, wanted=arguments[0] if arguments else None)
    return app


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"callsheet {version('callsheet')}\n")
        return
    try:
        build_app(arguments)(arguments, prog_name="callsheet")
    except CallsheetError as error:
        sys.exit(report(error))


def _root() -> None:
    """A job queue for media."""


if __name__ == "__main__":
    main()
