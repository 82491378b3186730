"""Ends a worker's children when the worker is killed or stopped: a program of its own.

Started as ``python -I -S watchdog.py PIPE WORKER``: PIPE is the descriptor of a pipe into which the
worker writes a line with a number of seconds again and again, WORKER its process id. When the pipe ends,
or nothing comes for that many seconds, every child of the worker that leads a process group is killed
with its group. The line ``end`` ends the watch and kills nothing. Uses the standard library alone and
reads no clock, so that it starts fast and stays small.
"""

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

FIRST_LIMIT_S: Final = 60.0
"""How long the first line may take."""
LINES_BYTES_MAX: Final = 65536
END: Final = b"end\n"

Children = dict[int, str]
"""Start instants, in the kernel's words, by process id."""


def main() -> None:
    """Watch until the pipe ends."""
    pipe, worker = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    limit_s = FIRST_LIMIT_S
    known: Children = {}
    while True:
        if not poll.poll(limit_s * 1000):
            kill(children_of(worker) | known)
            poll.poll()
        lines = os.read(pipe, LINES_BYTES_MAX)
        if not lines:
            kill(known)
            return
        if lines.endswith(END):
            return
        known = children_of(worker)
        limit_s = float(lines.split()[-1])


def children_of(worker: int) -> Children:
    """Return the processes that *worker* started and that lead a process group, ourselves left out."""
    found: Children = {}
    for threads in Path(f"/proc/{worker}/task").glob("*/children"):
        with suppress(OSError):
            for word in threads.read_text(encoding="ascii").split():
                child = int(word)
                started = started_at(child)
                if child != os.getpid() and started and is_leader(child):
                    found[child] = started
    return found


def is_leader(process: int) -> bool:
    """Return whether the process leads a process group."""
    try:
        return os.getpgid(process) == process
    except ProcessLookupError:
        return False


def started_at(process: int) -> str:
    """Return when the process started, in clock ticks since the machine's start; empty if it is gone."""
    try:
        facts = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return facts.rpartition(")")[2].split()[19]


def kill(children: Children) -> None:
    """Kill the groups of *children*, unless the process id belongs to another process by now."""
    for child, started in children.items():
        if started_at(child) in {started, ""}:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
