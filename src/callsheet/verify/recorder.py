"""Writes a history as it happens: a line is with the operating system before what it tells goes on."""

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypedDict

from callsheet.service.clock import Clock, SystemClock
from callsheet.verify.events import AnyEvent

MODE: Final = 0o600


class Stamp(TypedDict):
    """What every event begins with."""

    at: float
    utc: float
    by: str
    machine: str


class Recorder:
    """Appends events to a file. Outlives a kill of its process; several processes may share the file."""

    def __init__(self, path: Path, *, by: str, clock: Clock | None = None) -> None:
        """Open the file, made where it is not there.

        Raises:
            OSError: It cannot be written.
        """
        self._clock = clock or SystemClock()
        self._by = by
        self._machine = socket.gethostname()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stamp(self) -> Stamp:
        """Return what an event begins with that happens now."""
        return Stamp(
            at=self._clock.monotonic(),
            utc=self._clock.now().timestamp(),
            by=self._by,
            machine=self._machine,
        )

    def note(self, *events: AnyEvent) -> None:
        """Append *events*, in one write."""
        if events:
            text = "".join(event.model_dump_json() + "\n" for event in events)
            os.write(self._file, text.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
