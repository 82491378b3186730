"""Writes down every command of ``callsheet`` with what it takes, as its own help tells it."""

from collections.abc import Iterator, Sequence
from typing import Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from callsheet.cli.app import EXIT_CODES, build_app

#: Options of every command that speaks with a scheduler.
SHARED: Final = ("scheduler", "join_token_file", "tls_dir", "data", "as_json")

Parameter = TyperArgument | TyperOption


def commands() -> Iterator[str]:
    """Yield the parts of the page."""
    found = dict(_commands(typer.main.get_command(build_app([])), "callsheet"))
    speaking = next(one for one in found.values() if set(SHARED) <= {each.name for each in one.params})
    shared = [each for each in _parameters(speaking) if each.name in SHARED]
    yield f"{EXIT_CODES}\n"
    yield "Every command that speaks with a scheduler has these options as well:\n"
    yield _table(shared)
    for name, command in sorted(found.items()):
        speaks = set(SHARED) <= {each.name for each in command.params}
        own = [each for each in _parameters(command) if not speaks or each.name not in SHARED]
        arguments = "".join(f" {_shown(each)}" for each in own if isinstance(each, TyperArgument))
        parts = [f"## `{name}{arguments}`\n", f"{' '.join((command.help or '').split())}\n"]
        yield "\n".join([*parts, _table(own)] if own else parts)


def _commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for part, below in command.commands.items():
            yield from _commands(below, f"{name} {part}")
    elif isinstance(command, TyperCommand):
        yield name, command


def _parameters(command: TyperCommand) -> list[Parameter]:
    return [one for one in command.params if isinstance(one, TyperArgument | TyperOption)]


def _shown(one: Parameter) -> str:
    if isinstance(one, TyperOption):
        return ", ".join([*one.opts, *one.secondary_opts])
    name = one.metavar or str(one.name).upper()
    return name if one.required or name.startswith("[") else f"[{name}]"


def _table(parameters: Sequence[Parameter]) -> str:
    rows = [("takes", "default", "meaning"), ("---", "---", "---")]
    for one in parameters:
        value = one.default
        known = not callable(value) and value not in (None, False, "", ())
        default = "must be given" if one.required else f"`{value}`" if known else ""
        rows.append((f"`{_shown(one)}`", default, " ".join((one.help or "").split())))
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
