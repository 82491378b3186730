"""Which keys of a bucket are paths of files, and what a listing says of them."""

from datetime import datetime
from hashlib import blake2b
from typing import Final

from callsheet.paths import path_fault
from callsheet.worker.lease import PARTIAL_SUFFIX
from callsheet.worker.storage.store import PATHS_DEEP

KEY_BYTES_MAX: Final = 1024
"""Bytes of a key (S3)."""
SHOWN_MAX: Final = 200
"""Characters of a key that are shown."""
_NS: Final = 1_000_000_000


def key_fault(path: str) -> str:
    """Return why a path cannot be a file's; empty where it can."""
    if fault := path_fault(path):
        return f"its key {fault}; rename it"
    if not path.isprintable() or "\ufffd" in path:  # what servers write for what XML cannot hold
        return "its key holds characters that cannot be shown; rename it"
    if len(path.encode()) > KEY_BYTES_MAX:
        return f"its key has more than {KEY_BYTES_MAX} bytes; shorten it"
    if path.count("/") > PATHS_DEEP:
        return f"lies deeper than {PATHS_DEEP} folders"
    return ""


def printable(path: str) -> str:
    """Return a path as it can be shown, whatever it holds."""
    text = "".join(one if one.isprintable() else repr(one)[1:-1] for one in path[:SHOWN_MAX])
    return text if len(path) <= SHOWN_MAX else f"{text}…"


def is_hidden(path: str) -> bool:
    """Say whether a file is none of the library's, by its name or a folder's."""
    return path.endswith(PARTIAL_SUFFIX) or any(part.startswith(".") for part in path.split("/"))


def mtime_ns(modified_at: datetime, etag: str) -> int:
    """Return an instant that also changes with the entity tag.

    Servers tell the instant in seconds in one answer and finer in another; an object that is replaced
    within a second would look unchanged.
    """
    tag = etag.removeprefix("W/").strip('"')
    below = int.from_bytes(blake2b(tag.encode(), digest_size=8).digest(), "big") % _NS
    return int(modified_at.timestamp()) * _NS + below
