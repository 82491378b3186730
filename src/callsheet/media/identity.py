"""A quick name for a file's content: its size and both its ends."""

from hashlib import blake2b
from typing import Final

END_BYTES: Final = 64 * 1024
"""How much of each end counts."""


def quick_identity(size_bytes: int, head: bytes, tail: bytes) -> str:
    """Return 64 hexadecimal digits that change with the size and both ends of a file.

    Args:
        size_bytes: Of the whole file.
        head: Its first `END_BYTES`, or all of a shorter file.
        tail: Its last `END_BYTES`, or all of a shorter file.
    """
    digest = blake2b(size_bytes.to_bytes(8, "little"), digest_size=32)
    digest.update(head)
    digest.update(tail)
    return digest.hexdigest()
