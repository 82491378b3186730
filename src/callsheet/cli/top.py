"""``callsheet top``: lanes, GPUs, workers and jobs, live."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import Document, document
from callsheet.cli.exits import ExitCode
from callsheet.cli.top_reading import Reader, Seen
from callsheet.cli.top_view import ONCE_WIDTH, UNBOUNDED_LINES, Look, Order, compose
from callsheet.client import Patience
from callsheet.errors import CallsheetError, InvalidError, OverloadedError, UnavailableError
from callsheet.within import within

app = typer.Typer()

#: How long a call waits for a scheduler that does not answer: it is asked again with the next look.
IMPATIENCE: Final = Patience(total_s=0.0, try_s=2.0)

#: Seconds between two tries while no scheduler answers, and two pictures where nothing happens.
AWAY_S: Final = 0.5
PICTURE_S: Final = 1.0


@command(app, "top")
async def top(
    reach: Reach,
    *,
    once: Annotated[bool, typer.Option("--once", help="Write one look as text, and end.")] = False,
) -> ExitCode:
    """Watch lanes, GPUs, workers with what they run, failures and the newest jobs on the whole screen.

    Keys: q quits, p holds the picture and lets it go on, s sorts the workers by name, leases or load.
    """
    if once or reach.output.as_json:
        return await _look_once(reach)
    console = reach.output.console
    if not console.is_terminal or console.is_dumb_terminal:
        raise InvalidError("the picture needs a terminal that can move its cursor; for one look use --once")
    screen = _Screen(reach, console)
    return await screen.show()


async def _look_once(reach: Reach) -> ExitCode:
    reader = Reader(reach.client, reach.clock)
    await reader.read()
    if reach.output.as_json:
        reach.output.document(_as_document(reader.seen))
        return ExitCode.OK
    look = Look(now=reach.now, address=reach.connection.scheduler, keys=False)
    picture = compose(reader.seen, look, lines=UNBOUNDED_LINES)
    console = reach.output.console
    with console.capture() as captured:
        console.print(picture, width=console.width if console.is_terminal else ONCE_WIDTH)
    lines = captured.get().splitlines()[:-1]
    console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
    return ExitCode.OK


def _as_document(seen: Seen) -> Document:
    return {
        "queues": [dict(document(queue)) for queue in seen.queues.values()],
        "workers": [dict(document(worker)) for worker in seen.workers],
        "gpus": [dict(document(account)) for account in seen.devices],
        "running": [dict(document(job)) for job in seen.running],
        "failed": [dict(document(job)) for job in seen.failed],
        "newest": [dict(document(job)) for job in seen.newest],
        "oldest_wait_since": {name: at.isoformat() for name, at in seen.oldest.items()},
        "completed_last_hour": seen.completed_last_hour,
    }


@dataclass(slots=True, kw_only=True)
class _Choices:
    """What somebody chose by keys."""

    order: Order = Order.NAME
    held: Seen | None = None
    over: bool = False


class _Screen:
    """The picture, drawn again when something is read, a key is pressed or the terminal changes its size."""

    def __init__(self, reach: Reach, console: Console) -> None:
        self._reach = reach
        self._console = console
        self._reader = Reader(reach.client.with_patience(IMPATIENCE), reach.clock)
        self._choices = _Choices()
        self._away = ""
        self._changed = asyncio.Event()

    async def show(self) -> ExitCode:
        """Show it until somebody quits.

        Raises:
            CallsheetError: The scheduler answers, but not to us.
        """
        from callsheet.cli.keys import heard_keys  # noqa: PLC0415 -- not every system has such terminals

        with (
            heard_keys(self._press) as keys,
            _resizes(self._changed),
            Live(console=self._console, screen=True, auto_refresh=False) as live,
        ):
            reading = asyncio.create_task(self._read())
            try:
                while not self._choices.over and not reading.done():
                    self._changed.clear()
                    live.update(self._picture(keys=keys), refresh=True)
                    await self._change()
            finally:
                reading.cancel()
                await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()
        return ExitCode.OK

    async def _change(self) -> None:
        """Wait until the picture would be another one."""
        try:
            async with within(PICTURE_S):
                await self._changed.wait()
        except TimeoutError:
            return

    def _picture(self, *, keys: bool) -> RenderableType:
        look = Look(
            now=self._reach.now,
            address=self._reach.connection.scheduler,
            order=self._choices.order,
            held=self._choices.held is not None,
            away=self._away,
            keys=keys,
        )
        seen = self._choices.held or self._reader.seen
        return compose(seen, look, lines=self._console.size.height)

    async def _read(self) -> None:
        since = ""
        while True:
            try:
                await self._reader.read()
            except (UnavailableError, OverloadedError) as error:
                since = since or f"{self._reach.now:%H:%M:%S}"
                self._away = f"no answer since {since}, trying again: {error.message}"
                self._changed.set()
                await asyncio.sleep(AWAY_S)
                continue
            except CallsheetError:
                self._changed.set()
                raise
            since = self._away = ""
            self._changed.set()
            await self._reader.wait()

    def _press(self, key: str) -> None:
        choices = self._choices
        match key.lower():
            case "q" | "\x03" | "\x04":
                choices.over = True
            case "p" | " ":
                choices.held = copy(self._reader.seen) if choices.held is None else None
            case "s":
                choices.order = choices.order.after()
            case _:
                return
        self._changed.set()


@contextmanager
def _resizes(changed: asyncio.Event) -> Generator[None]:
    """Set *changed* whenever the terminal gets another size."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
