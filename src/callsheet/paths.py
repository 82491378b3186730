"""Says which paths inside a root the library can keep."""

from typing import Final

PATH_BYTES_MAX: Final = 2048
"""Bytes of a path. PostgreSQL keeps at most 2,704 bytes of root and path in an index entry."""


def path_fault(path: str) -> str:
    r"""Return what is wrong with a path, to be read behind its name; empty where the library can keep it.

    It is relative, with forward slashes, no empty, ``.`` or ``..`` part (a backslash counts as a
    slash here: ``..\x`` leaves the root elsewhere), no NUL, at most `PATH_BYTES_MAX` bytes.
    """
    if "\0" in path:
        return "must not hold a NUL character"
    if not path or path.startswith("/"):
        return "must be a path relative to its root"
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "must be UTF-8"
    if size_bytes > PATH_BYTES_MAX:
        return f"has {size_bytes} bytes; at most {PATH_BYTES_MAX} are allowed"
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in path.replace("\\", "/").split("/"):
        return "must not have an empty part, '.' or '..' between its slashes"
    return ""
