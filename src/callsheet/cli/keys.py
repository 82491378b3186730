"""Hears single keys from a terminal."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

#: Bytes that are read at once.
READ_MAX: Final = 64


@contextmanager
def heard_keys(hear: Callable[[str], None]) -> Generator[bool]:
    """Call *hear* for each key while this lasts, and leave the terminal as it was.

    Yields whether keys are heard: not where standard input is no terminal.
    """
    if not sys.stdin.isatty():
        yield False
        return
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        pressed = os.read(descriptor, READ_MAX)
        if not pressed:
            loop.remove_reader(descriptor)
        for key in pressed.decode("utf-8", "replace"):
            hear(key)

    tty.setcbreak(descriptor, termios.TCSADRAIN)
    loop.add_reader(descriptor, read)
    try:
        yield True
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
