"""What a process that touches untrusted media may still do: limits and rights, given up for good.

Needs the standard library alone, so that a launcher can use it before anything else is imported.
"""

import ctypes
import math
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.worker import landlock

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_NOBODY: Final = 65534
_MIB: Final = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)

CLEAN_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""All that a child is told by its environment: no secret, one thread for array work, no GPU."""


def environment(device_uuid: str) -> dict[str, str]:
    """Return the environment of a child that may use this GPU and no other; none where it is empty."""
    return CLEAN_ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": device_uuid}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """Limits of one child."""

    address_space_mib: int = 4096
    """Address space; 0 for no limit. A picture of 100 megapixels needs about 1,500 MiB."""
    file_size_mib: int = 1
    """The largest file it may write; decode children write none."""
    cpu_s: int = 300
    """CPU time of one job."""
    open_files: int = 64
    """Descriptors."""
    processes: int = 4096
    """Processes and threads of its user, others than it included; without effect on root."""
    jobs_per_child: int = 500
    """How many jobs a decode child does before another takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What stays open to a confined process besides the descriptors it holds."""

    readable: Sequence[str] = ()
    """Files and folders it may read."""
    runnable: Sequence[str] = ()
    """Files and folders it may read and execute."""
    writable: Sequence[str] = ()
    """Files and folders it may change."""
    devices: Sequence[str] = ()
    """Device files it may read, write and steer."""
    keep_user: bool = False
    """Whether a process of root stays root; one that writes files has to."""


def strength(version: int | None = None) -> list[str]:
    """Return the protections that children get on this machine, in words.

    Args:
        version: Landlock's version, where it is known already.
    """
    words = ["rlimits", "no_new_privs"]
    found = landlock.abi() if version is None else version
    if found:
        words.append(f"landlock {found}")
    if os.geteuid() == 0:
        words.append("unprivileged user")
    return words


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; ends it now if the parent is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def confine(limits: SandboxLimits, rights: Rights) -> list[str]:
    """Give up rights for good, and return the protections in force, in words.

    Raises:
        OSError: The kernel refused one; the process must not touch media then.
    """
    parent_pid = os.getppid()
    words = ["rlimits", "no_new_privs"]
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    allowed = [(path, landlock.READ) for path in rights.readable]
    allowed += [(path, landlock.RUN) for path in rights.runnable]
    allowed += [(path, landlock.WRITE) for path in rights.writable]
    allowed += [(path, landlock.DEVICE) for path in rights.devices]
    version = landlock.restrict(allowed)
    if version:
        words.append(f"landlock {version}")
    if os.geteuid() == 0 and not rights.keep_user:
        _become_nobody()
        words.append("unprivileged user")
    _limit(limits)
    die_with_parent(parent_pid)  # a change of user had switched it off
    return words


def allow_cpu(cpu_s: int) -> None:
    """Allow so much more CPU time, in seconds; what was used so far does not count. More ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _limit(limits: SandboxLimits) -> None:
    size = limits.address_space_mib * _MIB or resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_size_mib * _MIB, limits.file_size_mib * _MIB))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allow_cpu(limits.cpu_s)


def _checked(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
