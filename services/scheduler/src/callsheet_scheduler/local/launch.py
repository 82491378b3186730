"""Executes a program that ends with the process that started it, as another account if asked.

Run by path in an isolated interpreter (``python -I -S launch.py PARENT SIGNAL UID GID PROGRAM …``), so
that it imports nothing of ours, takes milliseconds, and no Python code runs between a fork and an exec.
Nothing is dropped where UID is negative.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def drop_to(uid: int, gid: int) -> None:
    """Become *uid* for good, with *gid* as the only group."""
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def end_with(parent: int, death_signal: int) -> None:
    """Ask the kernel for *death_signal* when *parent* ends; leave at once if it already has.

    Changing the account clears the request, so this comes after it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:
        sys.exit(128 + death_signal)


def main(arguments: list[str]) -> int:
    """Replace this process by the program; returns only when that is not possible."""
    parent, death_signal, uid, gid = (int(text) for text in arguments[:4])
    program = arguments[4:]
    try:
        if uid >= 0:
            drop_to(uid, gid)
        end_with(parent, death_signal)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.execv(program[0], program)  # noqa: S606 -- no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {program[0]}: {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
