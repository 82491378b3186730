"""Reads the size of a picture from its bytes: a check of outputs that trusts no decoder."""

from enum import StrEnum
from typing import Final


class PictureFormat(StrEnum):
    """Formats that pictures are made in."""

    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def suffix(self) -> str:
        """The end of a file's name, with its dot."""
        return ".jpg" if self is PictureFormat.JPEG else f".{self.value}"

    @property
    def media_type(self) -> str:
        """The MIME type."""
        return f"image/{self.value}"


_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HEAD_BYTES: Final = 4096
_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"


def picture_size(content: bytes, made_as: PictureFormat) -> tuple[int, int] | None:
    """Return width and height of a picture that is whole and of this format, or None."""
    match made_as:
        case PictureFormat.JPEG:
            size = jpeg_size(content)
        case PictureFormat.WEBP:
            size = _webp_size(content)
        case PictureFormat.AVIF:
            size = _avif_size(content)
    return size if size and all(size) else None


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


def png_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG that is whole from its signature to its end, or None.

    Source:
        W3C PNG, 11.2.1 and 11.2.4.
    """
    if not content.startswith(_PNG_SIGNATURE) or not content.endswith(_PNG_END):
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """Return the size that a WebP's first chunk says (RFC 9649, 2.5 to 2.7)."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    if int.from_bytes(content[4:8], "little") + 8 != len(content):
        return None
    match content[12:16]:
        case b"VP8 ":
            across, down = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        case b"VP8L":
            bits = int.from_bytes(content[21:25], "little")
            across, down = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            across, down = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        case _:
            return None
    return across, down


def _avif_size(content: bytes) -> tuple[int, int] | None:
    """Return the size that the first image's properties say (ISO/IEC 23008-12, 6.5.3)."""
    at = 0
    while at + 8 <= len(content):
        at += max(8, int.from_bytes(content[at : at + 4], "big"))
    found = content.find(b"ispe", 0, _HEAD_BYTES)
    if at != len(content) or content[4:8] != b"ftyp" or found < 0:
        return None
    width, height = (int.from_bytes(content[found + k : found + k + 4], "big") for k in (8, 12))
    return width, height
