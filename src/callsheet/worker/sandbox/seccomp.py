"""Takes system calls from the running process that no decoder needs, by the kernel's seccomp filter.

A filter is a small program over the number and the arguments of each call. What is listed here is refused
with EPERM; all else passes. Needs the standard library alone.

Source: include/uapi/linux/seccomp.h, linux/audit.h and linux/bpf_common.h of Linux; the numbers of the calls
are in arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_FILTER: Final = 1
_ACTION_AVAILABLE: Final = 2
_EVERY_THREAD: Final = 1
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000
_X32: Final = 0x40000000

_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06

_CLONE_THREAD: Final = 0x10000
_AF_UNIX: Final = 1

_FORBIDDEN: Final[Mapping[str, Sequence[int]]] = {
    # fork and vfork are calls of their own on x86-64 only. The rest by groups: another's memory; mounts and
    # namespaces; the kernel and the clock; handles and keys; memory that outlives its maker.
    "x86_64": (
        57, 58,
        101, 310, 311, 440, 312, 438, 434, 424, 129, 297, 200,
        165, 166, 155, 161, 272, 308, 442, 428, 429, 430, 431, 432, 433,
        175, 313, 176, 246, 320, 169, 167, 168, 163, 103, 170, 171, 164, 227, 159, 305, 172, 173,
        321, 298, 323, 425, 426, 427, 303, 304, 300, 248, 249, 250,
        29, 30, 64, 68, 240,
    ),
    "aarch64": (
        117, 270, 271, 440, 272, 438, 434, 424, 138, 240, 130,
        40, 39, 41, 51, 97, 268, 442, 428, 429, 430, 431, 432, 433,
        105, 273, 106, 104, 294, 142, 224, 225, 89, 116, 161, 162, 170, 112, 171, 266,
        280, 241, 282, 425, 426, 427, 264, 265, 262, 217, 218, 219,
        194, 196, 190, 186, 180,
    ),
}  # fmt: skip
_MEMFD: Final = {"x86_64": (319, 447), "aarch64": (279, 447)}
_EXECUTE: Final = {"x86_64": (59, 322), "aarch64": (221, 281)}
_SOCKET: Final = {"x86_64": (41, 53), "aarch64": (198, 199)}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_CLONE3: Final = 435
_OF_ITSELF: Final = {"x86_64": (62, 234, 302), "aarch64": (129, 131, 261)}
"""kill, tgkill and prlimit64: only on the process itself, which 0 means for the last."""

_libc = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int]
"""Code, how many to skip if true, how many if false, operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """What passes though most processes do not need it."""

    execution: bool = False
    """Becoming another program, as a launcher does. No process gains another by it."""
    local_sockets: bool = False
    """Sockets within the machine and memory files, as the driver of a GPU uses them."""


def available() -> bool:
    """Return whether this machine has filters, and we know its calls."""
    number = _SECCOMP.get(platform.machine())
    if number is None:
        return False
    action = ctypes.c_uint32(_REFUSE)
    return int(_libc.syscall(number, _ACTION_AVAILABLE, 0, ctypes.byref(action))) == 0


def restrict(permits: Permits) -> bool:
    """Refuse every thread of this process, and all that they start, what is not needed.

    Cannot be undone. Needs no_new_privs.

    Returns:
        Whether there is a filter; False where `available` says no.

    Raises:
        OSError: The kernel refused.
    """
    if not available():
        return False
    machine = platform.machine()
    code = b"".join(struct.pack("=HBBI", *one) for one in instructions(machine, permits, os.getpid()))
    program = _Program(len(code) // 8, code)
    answer = _libc.syscall(_SECCOMP[machine], _SET_FILTER, _EVERY_THREAD, ctypes.byref(program))
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
    return True


def instructions(machine: str, permits: Permits, pid: int) -> list[Instruction]:
    """Return the filter for a process on a machine of this kind."""
    refused = [*_FORBIDDEN[machine]]
    refused += () if permits.execution else _EXECUTE[machine]
    refused += () if permits.local_sockets else (*_MEMFD[machine], _SOCKET[machine][1])
    made: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        _refuse(errno.EPERM),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        _refuse(errno.EPERM),
    ]
    for number in refused:
        made += [(_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    made += [(_EQUAL, 0, 1, _CLONE3), _refuse(errno.ENOSYS)]  # C libraries take clone then
    made += _only_with(_CLONE[machine], (_ANY_BIT, 0, 1, _CLONE_THREAD))
    made += _only_with(_SOCKET[machine][0], *([(_EQUAL, 0, 1, _AF_UNIX)] if permits.local_sockets else []))
    for number in _OF_ITSELF[machine]:
        itself = [(_EQUAL, 0, 1, pid)]
        itself += [(_EQUAL, 0, 1, 0)] if number == _OF_ITSELF[machine][-1] else []
        made += _only_with(number, *itself)
    return [*made, (_ANSWER, 0, 0, _ALLOW)]


def _only_with(number: int, *tests: Instruction) -> list[Instruction]:
    """Return what lets a call pass only if one of *tests* is true of its first argument."""
    block: list[Instruction] = [(_LOAD, 0, 0, _FIRST_ARGUMENT_AT)]
    for test in tests:
        block += [test, (_ANSWER, 0, 0, _ALLOW)]
    block.append(_refuse(errno.EPERM))
    return [(_EQUAL, 0, len(block), number), *block]


def _refuse(number: int) -> Instruction:
    return (_ANSWER, 0, 0, _REFUSE | number)
