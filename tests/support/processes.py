"""Looks at processes from outside, through /proc."""

import asyncio
import ctypes
import gc
import os
import platform
from collections.abc import Callable
from pathlib import Path


def children_of_this_process() -> set[int]:
    """Return the pids of decode children that are alive."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_fields(int(entry.name))[1])
                command = (entry / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if parent == os.getpid() and b"callsheet.worker.sandbox.child" in command:
                found.add(int(entry.name))
    return found


def cpu_ticks(pid: int) -> int:
    """Return the CPU time that a process has used, in hundredths of a second."""
    return int(_fields(pid)[11])


def ended(pid: int) -> bool:
    """Say whether a process is gone, or waits only to be collected."""
    try:
        return _fields(pid)[0] == "Z"
    except OSError:
        return True


def descriptors(pid: int | None = None) -> int:
    """Return how many descriptors a process has open; this one without a pid."""
    if pid is None:
        gc.collect()  # what earlier tests left would be closed at some moment
    return len(list(Path(f"/proc/{pid or 'self'}/fd").iterdir()))


def reads_disk_when_idle(pid: int) -> bool:
    """Say whether a process gets the disk only while nobody else wants it (ioprio_get(2))."""
    number = {"x86_64": 252, "aarch64": 31}[platform.machine()]
    return int(ctypes.CDLL(None).syscall(number, 1, pid)) >> 13 == 3


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another process does; the test's time limit ends a vain wait."""
    while not true():  # noqa: ASYNC110 -- another process sets no event of ours
        await asyncio.sleep(0.01)


def _fields(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the third, the state, on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
