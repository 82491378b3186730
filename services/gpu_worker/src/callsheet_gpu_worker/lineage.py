"""Who stands above a process, read from /proc."""

from pathlib import Path
from typing import Final

INITIAL_PID_NAMESPACE: Final = 0xEFFFFFFC
"""The inode of the machine's own process namespace; a container has another (linux/proc_ns.h)."""
DEPTH_MAX: Final = 64
"""Processes above one another that are looked at."""
_PARENT, _SESSION = 1, 3
"""Places in /proc/PID/stat, counted after the program's name."""


def lineage(pid: int) -> frozenset[int]:
    """Return a process, its session and all processes above it; what has ended meanwhile is left out."""
    found = {pid}
    above = pid
    for _ in range(DEPTH_MAX):
        try:
            stat = Path(f"/proc/{above}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        fields = stat.rpartition(")")[2].split()
        if above == pid:
            found.add(int(fields[_SESSION]))
        above = int(fields[_PARENT])
        if above == 0:
            break
        found.add(above)
    return frozenset(found)


def sees_machine_pids() -> bool:
    """Return whether process ids here are those of the machine, which the driver reports."""
    return Path("/proc/self/ns/pid").stat().st_ino == INITIAL_PID_NAMESPACE
