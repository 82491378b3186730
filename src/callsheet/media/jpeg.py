"""Reads the size of a JPEG from its bytes: a check of outputs that trusts no decoder."""

from typing import Final

_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that is whole from its first to its end mark, or None.

    Source:
        ISO/IEC 10918-1, B.1.1 and B.2.2.
    """
    if not content.startswith(b"\xff\xd8") or not content.endswith(b"\xff\xd9"):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:  # noqa: PLR2004 -- every marker begins so
        if content[at + 1] in _FRAMES:
            height, width = (int.from_bytes(content[at + k : at + k + 2], "big") for k in (5, 7))
            return (width, height) if width and height else None
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
