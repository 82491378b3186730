"""File systems with little room, for root and for an ordinary account that may make user namespaces."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

#: Called with a size, a folder and a command.
_MOUNT_AND_RUN: Final = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'


def python_with_small_disk(folder: Path, size: str) -> tuple[str, ...]:
    """Return a command that runs this Python as an ordinary account, with *size* of room in *folder*.

    What it writes there nobody else sees. The test is skipped where the machine does not allow it.
    """
    where = _inside(folder, size)
    python = (*where, "unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable)
    if subprocess.run((*python, "-c", ""), check=False).returncode:
        pytest.skip("this account may not mount in a user namespace")
    return python


@contextmanager
def small_disk(folder: Path, size: str) -> Generator[Path]:
    """Leave *size* of room in *folder*, and yield the path by which processes of this account get there.

    The test is skipped where the machine does not allow it.
    """
    if os.geteuid() != 0:
        with _kept_in_namespace(folder, size) as reached:
            yield reached
        return
    mount = ("sh", "-c", _MOUNT_AND_RUN, size, str(folder), "true")
    umount = ("umount", "-l", str(folder))
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(umount, check=True)


@contextmanager
def _kept_in_namespace(folder: Path, size: str) -> Generator[Path]:
    """Let a process keep the mount; others of its account see it below that process's root."""
    command = (*_inside(folder, size), "sh", "-c", "echo mounted; exec cat")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        if not keeper.stdout.readline():
            pytest.skip("this account may not mount in a user namespace")
        try:
            yield Path(f"/proc/{keeper.pid}/root{folder}")
        finally:
            keeper.stdin.close()


def _inside(folder: Path, size: str) -> tuple[str, ...]:
    """Return what goes before a command that is to run where the disk is small."""
    namespace = ("unshare", "--user", "--map-root-user", "--mount")
    return (*namespace, "sh", "-c", _MOUNT_AND_RUN, size, str(folder))
