"""What a process that touches untrusted media may still do: limits and rights, given up for good.

Needs the standard library alone, so that a launcher can use it before anything else is imported.
"""

import ctypes
import math
import os
import platform
import resource
import signal
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from callsheet.worker.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION: Final = 0x20080522
_CAPABILITIES_MAX: Final = 64
_NOBODY: Final = 65534
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
_OF_PROCESS: Final = 1
_IDLE: Final = 3 << 13
_NICEST: Final = 19
_MIB: Final = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)

CLEAN_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
"""All that a child is told by its environment: no secret, one thread for array work, no GPU.

And that memory is kept for the next picture, in pieces of up to 32 MiB, 128 MiB in all: getting it anew takes
thousands of page faults.
"""


def environment(device_uuid: str) -> dict[str, str]:
    """Return the environment of a child that may use this GPU and no other; none where it is empty."""
    return CLEAN_ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": device_uuid}


class Layer(StrEnum):
    """The protections, in the order in which they are taken; each holds without the others."""

    RLIMITS = "rlimits"
    """Limits of memory, CPU time, file size, descriptors."""
    NO_NEW_PRIVS = "no_new_privs"
    """No program that it starts gains rights."""
    LANDLOCK = "landlock"
    """Files, TCP, signals and tracing beyond what it was given."""
    USER = "unprivileged user"
    """A child of root is nobody, or without any capability where it has to stay root."""
    SECCOMP = "seccomp"
    """New processes, sockets, and whatever else no decoder calls."""


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
    """Whether a process of root keeps its name, though none of its powers; one that writes files has to."""


def strength() -> list[str]:
    """Return the protections that children get on this machine, in words."""
    found = landlock.abi()
    words = {
        Layer.LANDLOCK: f"{Layer.LANDLOCK} {found}" if found else "",
        Layer.USER: Layer.USER if os.geteuid() == 0 else "",
        Layer.SECCOMP: Layer.SECCOMP if seccomp.available() else "",
    }
    return [word for word in (words.get(layer, layer) for layer in Layer) if word]


def lacks(words: Collection[str]) -> list[str]:
    """Return the protections that children go without where *words* are in force, in words.

    A worker that is not root needs no other user for them.
    """
    names = {word.partition(" ")[0] for word in words}
    return [layer for layer in (Layer.LANDLOCK, Layer.SECCOMP) if layer not in names]


def hide_memory() -> None:
    """Let processes of the same user neither trace this one nor read its memory and environment."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; ends it now if the parent is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def yield_to_others() -> None:
    """Take CPU time that nobody else wants, and the disk while it is idle (ioprio_set(2))."""
    os.nice(_NICEST)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        _libc.syscall(number, _OF_PROCESS, 0, _IDLE)


def confine(limits: SandboxLimits, rights: Rights, layers: Collection[Layer] = frozenset(Layer)) -> list[str]:
    """Give up rights for good, and return the protections in force, in words.

    Whoever asks for fewer *layers* wants to know what each of them stops.

    Raises:
        OSError: The kernel refused one; the process must not touch media then.
        RuntimeError: It has threads already, which Landlock would leave as they are.
    """
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("a process with more than one thread cannot be confined")
    parent_pid = os.getppid()
    words: list[str] = []
    for layer in (layer for layer in Layer if layer in layers):
        match layer:
            case Layer.RLIMITS:
                _limit(limits)
            case Layer.NO_NEW_PRIVS:
                _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
            case Layer.LANDLOCK:
                version = landlock.restrict(_allowed(rights))
                words += [f"{layer} {version}"] if version else []
                continue
            case Layer.USER:
                if os.geteuid() != 0:
                    continue
                _become_nobody(keep_user=rights.keep_user)
                die_with_parent(parent_pid)  # a change of user had switched it off
            case Layer.SECCOMP:
                permits = seccomp.Permits(execution=bool(rights.runnable), local_sockets=bool(rights.devices))
                if not seccomp.restrict(permits):
                    continue
        words.append(layer)
    return words


def _allowed(rights: Rights) -> list[tuple[str, landlock.Access]]:
    allowed = [(path, landlock.READ) for path in rights.readable]
    allowed += [(path, landlock.RUN) for path in rights.runnable]
    allowed += [(path, landlock.WRITE) for path in rights.writable]
    return allowed + [(path, landlock.DEVICE) for path in rights.devices]


def allow_cpu(cpu_s: int) -> None:
    """Allow so much more CPU time, in seconds; what was used so far does not count. More ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _become_nobody(*, keep_user: bool) -> None:
    """Give up what root may do: its name, or, where that has to stay, every capability."""
    for capability in range(_CAPABILITIES_MAX):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # the kernel knows no further ones
    os.setgroups([])
    if not keep_user:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, bytes(24)))


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
