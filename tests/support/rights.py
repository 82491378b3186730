"""Takes from root the right to enter what its modes forbid, so that a test means the same for everybody."""

import ctypes
from collections.abc import Generator
from contextlib import contextmanager

#: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
OVERRIDES = (1 << 1) | (1 << 2)

VERSION = 0x2008_0522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Rights(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def without_overrides() -> Generator[None]:
    """Let modes bind this thread, and the threads it starts meanwhile, even as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = _Header(VERSION, 0)
    rights = (_Rights * 2)()
    if libc.capget(ctypes.byref(header), rights) != 0:
        raise OSError(ctypes.get_errno(), "capget failed")
    before = rights[0].effective
    rights[0].effective = before & ~OVERRIDES
    if libc.capset(ctypes.byref(header), rights) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    try:
        yield
    finally:
        rights[0].effective = before
        libc.capset(ctypes.byref(header), rights)
