"""The commands that people read of are commands that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.core import TyperGroup

from callsheet.cli.app import build_app

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs" / "guides").glob("*.md"), *ROOT.glob("*/**/README.md"))
    if not {".venv", "node_modules", "build"} & set(path.parts)
)
#: In a line of a block of code, or between backticks in the text; what a shell does with it is left out.
BLOCK_LINE: Final = re.compile(r"^(?:\$ )?callsheet ([^|>&\n]+)", re.MULTILINE)
INLINE: Final = re.compile(r"`callsheet ([a-z][^`|…\n]*)`")


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each command on a page."""
    text = page.read_text(encoding="utf-8")
    for found in (*BLOCK_LINE.finditer(text), *INLINE.finditer(text)):
        yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_understood(page: Path) -> None:
    for arguments in commands(page):
        command, rest = typer.main.get_command(build_app(arguments)), arguments
        while isinstance(command, TyperGroup) and rest:
            command, rest = command.commands[rest[0]], rest[1:]
        if rest:  # otherwise it is only named
            command.make_context(f"callsheet {shlex.join(arguments)}", rest)
