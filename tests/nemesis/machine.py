"""What a machine may allow beyond signals and sockets: network namespaces, the clock of one process."""

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Link-local addresses, of which a pair of /30 goes to a namespace.
PAIRS: Final = 250

#: Where Debian's package libfaketime has its library, by architecture.
FAKETIME: Final = "/usr/lib/*/faketime/libfaketime.so.1"


class NotHereError(Exception):
    """The machine does not allow it; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A network of its own with one cable to this machine's."""

    name: str
    cable: str
    """This machine's end."""
    host: str
    """This machine's address, as seen from the namespace."""

    @property
    def command(self) -> tuple[str, ...]:
        """What goes before a command that is to run in it."""
        return (shutil.which("ip") or "ip", "netns", "exec", self.name)

    async def pull(self) -> None:
        """Pull the cable: what is sent either way is lost."""
        await _ip("link", "set", self.cable, "down")

    async def plug(self) -> None:
        """Plug the cable in."""
        await _ip("link", "set", self.cable, "up")


@asynccontextmanager
async def network_namespace() -> AsyncGenerator[Namespace]:
    """Make a namespace for the time of the block.

    Raises:
        NotHereError: The machine does not allow it.
    """
    number = os.getpid()
    name, cable, other = f"callsheet-{number}", f"csn{number}", f"csm{number}"
    below = f"169.254.{1 + number % PAIRS}"
    await _ip("netns", "add", name)
    try:
        await _ip("link", "add", cable, "type", "veth", "peer", "name", other, "netns", name)
        await _ip("address", "add", f"{below}.1/30", "dev", cable)
        await _ip("link", "set", cable, "up")
        await _ip("-n", name, "address", "add", f"{below}.2/30", "dev", other)
        await _ip("-n", name, "link", "set", other, "up")
        await _ip("-n", name, "link", "set", "lo", "up")
        yield Namespace(name=name, cable=cable, host=f"{below}.1")
    finally:
        await _ip("netns", "delete", name)


async def _ip(*arguments: str) -> None:
    try:
        command = await asyncio.create_subprocess_exec("ip", *arguments, stdout=PIPE, stderr=STDOUT)
    except FileNotFoundError:
        raise NotHereError("there is no command ip") from None
    said, _ = await command.communicate()
    if command.returncode:
        raise NotHereError(f"ip {' '.join(arguments)}: {said.decode().strip()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedClock:
    """The wall clock of one process, which can be moved while it runs; its monotonic clock cannot."""

    library: Path
    state: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What the process is started with."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.state),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            "FAKETIME_NO_CACHE": "1",
            "NO_FAKE_STAT": "1",
        }

    def move(self, seconds: int) -> None:
        """Set the clock so many seconds beside the machine's."""
        partial = self.state.with_suffix(".partial")
        partial.write_text(f"{seconds:+d}\n", encoding="ascii")
        partial.replace(self.state)


def moved_clock(state: Path) -> MovedClock:
    """Return a clock that is right, its state in the file *state*.

    Raises:
        NotHereError: libfaketime is not installed.
    """
    library = next(Path("/").glob(FAKETIME.lstrip("/")), None)
    if library is None:
        raise NotHereError("libfaketime is not installed (on Debian the package faketime)")
    clock = MovedClock(library=library, state=state)
    clock.move(0)
    return clock
