"""Adds the commands of other distributions: the entry point group ``callsheet.commands``."""

import copy
from collections.abc import Set as AbstractSet
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import typer
from rich.text import Text

from callsheet.cli.exits import ExitCode
from callsheet.cli.output import make_console

GROUP: Final = "callsheet.commands"

#: Our commands that other packages bring, and what installs them.
BROUGHT_BY: Final = {
    "backup": "callsheet-scheduler",
    "immich": "callsheet-immich-agent",
    "restore": "callsheet-scheduler",
    "simulate": "callsheet-scheduler",
    "up": "callsheet[local]",
}


def add_commands(app: typer.Typer, *, known: frozenset[str], wanted: str | None) -> None:
    """Add what is installed to *app*, under the names of the entry points.

    An entry is a Typer app, or a function that becomes a command. One that cannot be loaded becomes a
    command that says so; one of ours that is not installed says what brings it. Nothing is loaded where
    *wanted*, the command that was asked for, is *known*.
    """
    if wanted in known:
        return
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name not in known:
            _add(app, entry)
    for name, sentence in lacking({entry.name for entry in entries}).items():
        _add_refusal(app, name, sentence, hidden=True)


def lacking(installed: AbstractSet[str]) -> dict[str, str]:
    """Return what to say of each of our commands that is not *installed*, by its name."""
    return {
        name: f"The command {name} is not installed: pip install '{package}'"
        for name, package in BROUGHT_BY.items()
        if name not in installed
    }


def _add(app: typer.Typer, entry: EntryPoint) -> None:
    try:
        loaded: object = entry.load()
    except Exception as error:  # noqa: BLE001 -- whatever a stranger's module raises, the others must work
        _add_broken(app, entry, f"{type(error).__name__}: {error}")
        return
    if isinstance(loaded, typer.Typer):
        _add_app(app, loaded, entry.name)
    elif callable(loaded):
        app.command(entry.name)(loaded)
    else:
        _add_broken(app, entry, f"{entry.value} is neither a Typer app nor a function")


def _add_app(app: typer.Typer, loaded: typer.Typer, name: str) -> None:
    """Add *loaded*; one with a single command and nothing else is that command."""
    single = len(loaded.registered_commands) == 1 and not loaded.registered_groups
    if single and loaded.registered_callback is None:
        only = copy.copy(loaded.registered_commands[0])
        only.name = name
        app.registered_commands.append(only)
    else:
        app.add_typer(loaded, name=name)


def _add_broken(app: typer.Typer, entry: EntryPoint, reason: str) -> None:
    owner = entry.dist.name if entry.dist is not None else entry.value
    sentence = f"The command {entry.name} of {owner} cannot be loaded: {reason}"
    _add_refusal(app, entry.name, " ".join(sentence.split()), hidden=False)


def _add_refusal(app: typer.Typer, name: str, sentence: str, *, hidden: bool) -> None:
    def refuse() -> None:
        make_console(stderr=True).print(Text(sentence), soft_wrap=True)
        raise typer.Exit(ExitCode.FAILED)

    options: dict[str, object] = {
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    }
    app.command(name, help="Cannot be loaded.", hidden=hidden, context_settings=options)(refuse)
