"""Takes file system and network access from the running process, by the kernel's Landlock.

Source: include/uapi/linux/landlock.h of Linux; what each version of the interface adds is in
Documentation/userspace-api/landlock.rst.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_NET_ABI: Final = 4
_SCOPE_ABI: Final = 6
_NET_TCP: Final = 0b11
_SCOPE_ALL: Final = 0b11


class Access(IntFlag):
    """Rights on files and folders; the numbers are the kernel's."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ: Final = Access.READ_FILE | Access.READ_DIR
RUN: Final = READ | Access.EXECUTE
WRITE: Final = (
    READ
    | Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.MAKE_REG
    | Access.MAKE_DIR
    | Access.REMOVE_FILE
    | Access.REMOVE_DIR
)
DEVICE: Final = Access.READ_FILE | Access.WRITE_FILE | Access.IOCTL_DEV
_OF_FILES: Final = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
_LAST_OF_ABI: Final = {1: Access.MAKE_SYM, 2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the version of Landlock in this kernel; 0 where it is absent or switched off."""
    version = int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG)))
    return max(version, 0)


def handled(version: int) -> Access:
    """Return every file system right that Landlock of *version* can take away."""
    last = max(right for since, right in _LAST_OF_ABI.items() if since <= version)
    return Access(int(last) * 2 - 1)


def restrict(allowed: Iterable[tuple[str, Access]]) -> int:
    """Deny this thread, and all it starts, everything but *allowed* paths; TCP from version 4.

    Descriptors that are open stay usable. A path that does not exist is passed over. Cannot be undone.
    Needs no_new_privs.

    Returns:
        The version in force; 0 where the kernel has none and nothing was denied.

    Raises:
        OSError: The kernel refused.
    """
    version = abi()
    if version == 0:
        return 0
    rights = handled(version)
    ruleset = _create(rights, version)
    try:
        for path, access in allowed:
            _allow(ruleset, path, access & rights)
        _checked(_libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)
    return version


def _create(rights: Access, version: int) -> int:
    fields = [int(rights)]
    if version >= _NET_ABI:
        fields.append(_NET_TCP)
    if version >= _SCOPE_ABI:
        fields.append(_SCOPE_ALL)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    return _checked(
        _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    )


def _allow(ruleset: int, path: str, access: Access) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_FILES
        rule = struct.pack("=Qi", int(access), fd)
        _checked(
            _libc.syscall(
                _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)
            )
        )
    finally:
        os.close(fd)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return answer
