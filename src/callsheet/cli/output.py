"""Writes what a command found: tables and sentences for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callsheet.cli.documents import Document, document
from callsheet.service.plain import plain, plain_line

#: Columns where standard output is no terminal, so that no cell is cut or broken.
UNBOUNDED: Final = 100_000

STYLES: Final[dict[str, str]] = {
    "pending": "yellow",
    "queued": "cyan",
    "running": "cyan",
    "paused": "magenta",
    "completed": "green",
    "failed": "red",
    "cancelled": "bright_black",
    "ok": "green",
    "broken": "red",
    "missing": "bright_black",
    "shrunk": "yellow",
    "vanished": "red",
    "unreached": "bright_black",
}
"""The colour of each state."""


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that takes text as it is, and does not fold it where nobody looks."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNBOUNDED
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a command writes."""

    as_json: bool
    """JSON on standard output; people are then spoken to on standard error only."""
    console: Console = field(default_factory=make_console)
    aside: Console = field(default_factory=lambda: make_console(stderr=True))
    """Standard error: progress and remarks."""

    def document(self, value: Message | Document) -> None:
        """Write one line of JSON."""
        whole: JsonValue = dict(document(value) if isinstance(value, Message) else value)
        sys.stdout.write(json.dumps(whole) + "\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
        """Write a table; a column whose name ends in ``>`` is set to the right."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            right = name.endswith(">")
            first = name == columns[0]
            table.add_column(
                name.removesuffix(">"),
                justify="right" if right else "left",
                no_wrap=right or first,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(plain_line(cell)) if isinstance(cell, str) else cell for cell in row))
        self._write(table)

    def facts(self, pairs: Sequence[tuple[str, str | Text]]) -> None:
        """Write names and values, one pair a line."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(name, Text(plain(value)) if isinstance(value, str) else value)
        self._write(table)

    def _write(self, table: Table) -> None:
        if self.console.is_terminal:
            self.console.print(table)
            return
        with self.console.capture() as captured:
            self.console.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def say(self, sentence: str) -> None:
        """Write a line for people."""
        self.console.print(Text(plain(sentence)), soft_wrap=True)

    def remark(self, sentence: str) -> None:
        """Write a line for people to standard error."""
        self.aside.print(Text(plain(sentence)), soft_wrap=True)


def state_cell(state: str) -> Text:
    """Return a state in its colour."""
    return Text(state, style=STYLES.get(state, ""))
