"""Where there is no terminal, progress is a line now and then."""

import io
from datetime import UTC, datetime

from rich.console import Console
from typing_extensions import override

from callsheet.cli.painters import BarPainter, LinePainter, painter_for
from callsheet.service.clock import Clock


class Hand(Clock):
    """A clock whose hands a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    @override
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    @override
    def monotonic(self) -> float:
        return self.at


def paper() -> Console:
    return Console(file=io.StringIO(), width=200, markup=False, highlight=False)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_lines_come_at_most_every_two_seconds_and_the_last_always() -> None:
    clock, console = Hand(), paper()
    with LinePainter(console, clock) as painter:
        for second in range(10):
            clock.at = second / 2
            painter.show("Scan", second, 10)

    assert lines(console) == ["Scan: 0 %", "Scan: 40 %", "Scan: 80 %", "Scan: 90 %"]


def test_nothing_is_said_twice() -> None:
    clock, console = Hand(), paper()
    with LinePainter(console, clock) as painter:
        for second in range(60):
            clock.at = float(second)
            painter.show("Scan", 0, 100, "All 2 cpu slots are busy")

    assert lines(console) == ["Scan: 0 %, All 2 cpu slots are busy"]


def test_each_thing_says_how_it_ended() -> None:
    clock, console = Hand(), paper()
    with LinePainter(console, clock) as painter:
        painter.show("Scan", 0, 100)
        painter.show("Scan", 100, 100)
        painter.show("Pictures", 0, 0, "\x1b[2J")

    assert lines(console) == ["Scan: 0 %", "Scan: 100 %", "Pictures: 100 %, \\x1b[2J"]


def test_a_bar_is_for_terminals() -> None:
    assert type(painter_for(Console(file=io.StringIO(), force_terminal=True))) is BarPainter
    assert type(painter_for(Console(file=io.StringIO(), force_terminal=False))) is LinePainter


def test_a_bar_shows_what_and_how_far() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with BarPainter(console) as painter:
        painter.show("Scan", 0, 100)
        painter.show("Pictures", 20, 80, "20 of 80 items [red]")

    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "Pictures" in shown
    assert " 25 %" in shown
    assert "20 of 80 items [red]" in shown
