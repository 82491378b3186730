"""Remembers the hashes of uploads between two pieces, so that a whole need not be read once more."""

import hashlib
from collections import OrderedDict
from typing import Final

KEPT_MAX: Final = 1000
"""Uploads whose hash is remembered; of others the whole is read at their end."""


class Sum:
    """The SHA-256 of the first bytes of an upload, as far as it is known."""

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._hash = hashlib.sha256() if size == 0 else None

    def add(self, content: bytes | bytearray) -> None:
        """Go on."""
        if self._hash is not None:
            self._hash.update(content)
        self.size += len(content)

    @property
    def digest(self) -> str:
        """In hexadecimal; empty where it is not known."""
        return "" if self._hash is None else self._hash.hexdigest()


class Sums:
    """The hashes of the uploads that this process has seen from their beginning."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Sum] = OrderedDict()

    def take(self, upload_id: str, size: int) -> Sum:
        """Return the hash of so many first bytes and forget it: whoever adds to it keeps it again."""
        known = self._kept.pop(upload_id, None)
        return known if known is not None and known.size == size else Sum(size)

    def keep(self, upload_id: str, known: Sum) -> None:
        """Remember a hash."""
        self._kept[upload_id] = known
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
