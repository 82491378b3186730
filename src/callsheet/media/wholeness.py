"""Says from headers and endings alone whether a file is whole; decodes nothing."""

from typing import Final

from callsheet.media.faults import truncated
from callsheet.media.iso import ReadAt, cut_box, has_index
from callsheet.media.kinds import Family

_TAIL_BYTES: Final = 64 * 1024
_SEARCH_BYTES: Final = 1 << 20
_SEGMENT: Final = b"\x18\x53\x80\x67"
_RIFF_UNKNOWN: Final = frozenset({0, 0xFFFFFFFF})
_IN_BOXES: Final = frozenset({Family.ISO, Family.HEIF, Family.AVIF})
_IN_RIFF: Final = frozenset({Family.AVI, Family.WAV, Family.WEBP})
_SCAN_MARKER: Final = 0xDA


def check_wholeness(family: Family, read: ReadAt, size_bytes: int) -> None:
    """Refuse a file whose headers promise more than it holds, or whose end mark is missing.

    Raises:
        MediaFaultError: It is truncated.
    """
    if family in _IN_BOXES:
        _check_boxes(family, read, size_bytes)
    elif family in _IN_RIFF:
        _check_riff(family, read, size_bytes)
    elif family is Family.MATROSKA:
        _check_matroska(read, size_bytes)
    elif family is Family.JPEG:
        _check_jpeg(read, size_bytes)
    elif family is Family.PNG and b"IEND" not in read(max(0, size_bytes - _TAIL_BYTES), _TAIL_BYTES):
        raise truncated("the picture's end mark (IEND) is missing")


def _check_boxes(family: Family, read: ReadAt, size_bytes: int) -> None:
    cut = cut_box(read, size_bytes)
    if cut:
        raise truncated(
            f"its part {cut.name!r} should reach to byte {cut.end:,}, the file ends at {size_bytes:,}"
        )
    if family is Family.ISO and not has_index(read, size_bytes):
        raise truncated("its index (moov) is missing: the recording or copy was never finished")


def _check_riff(family: Family, read: ReadAt, size_bytes: int) -> None:
    promised = int.from_bytes(read(4, 4), "little")
    if read(0, 4) == b"RIFF" and promised not in _RIFF_UNKNOWN and promised + 8 > size_bytes + 1:
        raise truncated(f"its {family} header promises {promised + 8:,} bytes, the file has {size_bytes:,}")


def _check_matroska(read: ReadAt, size_bytes: int) -> None:
    """Compare the Segment's size (RFC 8794, 6.2; RFC 9559, 5.1) with the file's."""
    head = read(0, 4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 5 > len(head):
        return
    first = head[at + 4]
    length = 9 - first.bit_length()
    field = head[at + 4 : at + 4 + length]
    value = int.from_bytes(field, "big") & ((1 << 7 * length) - 1)
    unknown = value == (1 << 7 * length) - 1
    end = at + 4 + length + value
    if first and not unknown and end > size_bytes:
        raise truncated(f"its Segment should reach to byte {end:,}, the file ends at {size_bytes:,}")


def _check_jpeg(read: ReadAt, size_bytes: int) -> None:
    """Look for the end mark behind the first scan; cameras add more pictures and trailers behind it."""
    scan = _first_scan(read, size_bytes)
    if scan is None:
        raise truncated("the picture ends inside its header")
    end = size_bytes
    while end > scan:
        start = max(scan, end - _SEARCH_BYTES)
        if b"\xff\xd9" in read(start, end - start + 1):
            return
        end = start
    raise truncated("the picture's end mark (EOI) is missing")


def _first_scan(read: ReadAt, size_bytes: int) -> int | None:
    """Return the offset behind the first start-of-scan segment (ISO/IEC 10918-1, B.1.1.4)."""
    at = 2
    while at + 4 <= size_bytes:
        marker = read(at, 4)
        if marker[0] != 0xFF:  # noqa: PLR2004 - every marker begins so
            at += 1
        elif marker[1] in {0xFF, 0x01, *range(0xD0, 0xD9)}:
            at += 1 if marker[1] == 0xFF else 2  # noqa: PLR2004 - fill bytes may be repeated
        else:
            at += 2 + int.from_bytes(marker[2:4], "big")
            if marker[1] == _SCAN_MARKER:
                return at if at < size_bytes else None
    return None
