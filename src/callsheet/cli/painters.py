"""Shows progress: a bar on a terminal, elsewhere a line now and then."""

from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text
from typing_extensions import override

from callsheet.service.clock import Clock, SystemClock
from callsheet.service.plain import plain

#: Seconds between two lines of progress at least.
LINE_INTERVAL_S: Final = 2.0


class Painter(Protocol):
    """Shows one thing in progress after another, between entering and leaving."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, what: str, done: float, total: float, note: str = "") -> None:
        """Say how far *what* is; another *what* begins a new bar."""
        ...


class BarPainter(Painter):
    """Draws a bar for each thing."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}

    @override
    def __enter__(self) -> Self:
        self._progress.start()
        return self

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @override
    def show(self, what: str, done: float, total: float, note: str = "") -> None:
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(plain(what), note="")
        self._progress.update(self._bars[what], completed=done, total=max(total, 1e-9), note=plain(note))


class LinePainter(Painter):
    """Writes a line when something changed, at most one in `LINE_INTERVAL_S`, and the last of each thing."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._what = ""
        self._line: str = ""
        self._written: str = ""
        self._written_at = float("-inf")

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write()

    @override
    def show(self, what: str, done: float, total: float, note: str = "") -> None:
        if what != self._what:
            self._write()
            self._what = what
            self._written_at = float("-inf")
        percent = int(100 * done / total) if total else 100
        self._line = f"{what}: {percent} %{f', {note}' if note else ''}"
        if self._clock.monotonic() - self._written_at >= LINE_INTERVAL_S:
            self._write()

    def _write(self) -> None:
        if self._line != self._written:
            self._console.print(Text(plain(self._line)), soft_wrap=True)
            self._written = self._line
            self._written_at = self._clock.monotonic()


def painter_for(console: Console, clock: Clock | None = None) -> Painter:
    """Return the painter that suits *console*."""
    if console.is_terminal:
        return BarPainter(console)
    return LinePainter(console, clock or SystemClock())
