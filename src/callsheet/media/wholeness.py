"""Says from headers and endings alone whether a file is whole; decodes nothing."""

from collections.abc import Callable, Mapping
from typing import Final

from callsheet.media.faults import truncated
from callsheet.media.iso import ReadAt, cut_box, has_index
from callsheet.media.kinds import HEAD_BYTES, Family, transport_packet

_TAIL_BYTES: Final = 64 * 1024
_FIRST_SEARCH_BYTES: Final = 4096
_SEARCH_BYTES: Final = 1 << 20
_SEGMENT: Final = b"\x18\x53\x80\x67"
_RIFF_UNKNOWN: Final = frozenset({0, 0xFFFFFFFF})
_IN_BOXES: Final = frozenset({Family.ISO, Family.HEIF, Family.AVIF})
_IN_RIFF: Final = frozenset({Family.AVI, Family.WAV, Family.WEBP})
_SCAN_MARKER: Final = 0xDA
_OGG_PAGE: Final = b"OggS\0"
_OGG_HEADER: Final = 27
_OGG_PAGE_MAX: Final = _OGG_HEADER + 255 + 255 * 255
_OGG_LAST: Final = 0x04
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_PROPERTIES_BYTES: Final = 104
_ASF_BROADCAST: Final = 1


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
    elif family in _BY_THEIR_END:
        _BY_THEIR_END[family](read, size_bytes)


def doubts(family: Family | None, read: ReadAt, size_bytes: int) -> list[str]:
    """Return what is odd about the end of a file that may be whole all the same.

    A recording that was stopped and a copy that was cut between two pages look alike.
    """
    if family is not Family.OGG:
        return []
    at = _last_ogg_page(read, size_bytes)
    if at is None or read(at, _OGG_HEADER)[5] & _OGG_LAST:
        return []
    return ["its last page is not marked as the last: the recording was stopped, or the copy is partial"]


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
    end, length = size_bytes, _FIRST_SEARCH_BYTES
    while end > scan:
        start = max(scan, end - length)
        if b"\xff\xd9" in read(start, end - start + 1):
            return
        end, length = start, _SEARCH_BYTES
    raise truncated("the picture's end mark (EOI) is missing")


def _check_png(read: ReadAt, size_bytes: int) -> None:
    if b"IEND" not in read(max(0, size_bytes - _TAIL_BYTES), _TAIL_BYTES):
        raise truncated("the picture's end mark (IEND) is missing")


def _check_transport_stream(read: ReadAt, size_bytes: int) -> None:
    """Look whether the last packet is whole; one that is cut between packets looks like a short one."""
    packet = transport_packet(read(0, HEAD_BYTES))
    over = size_bytes % packet if packet else 0
    if over:
        raise truncated(f"it ends inside a packet, after {over} of its {packet} bytes")


def _check_ogg(read: ReadAt, size_bytes: int) -> None:
    """Hold the length of the last page (RFC 3533, 6) against the end of the file."""
    at = _last_ogg_page(read, size_bytes)
    if at is None:
        return
    header = read(at, _OGG_HEADER + 255)
    table = header[_OGG_HEADER : _OGG_HEADER + header[_OGG_HEADER - 1]] if len(header) >= _OGG_HEADER else b""
    whole = len(header) >= _OGG_HEADER and len(table) == header[_OGG_HEADER - 1]
    if not whole or at + _OGG_HEADER + len(table) + sum(table) > size_bytes:
        raise truncated(f"it ends inside its last page, which begins at byte {at:,}")


def _last_ogg_page(read: ReadAt, size_bytes: int) -> int | None:
    """Return where the last page begins; None where the end of the file holds none."""
    start = max(0, size_bytes - _OGG_PAGE_MAX - _OGG_HEADER)
    at = read(start, size_bytes - start).rfind(_OGG_PAGE)
    return None if at < 0 else start + at


def _check_asf(read: ReadAt, size_bytes: int) -> None:
    """Compare the size in the File Properties Object (ASF 01.20.05, 3.2), which a live stream has not."""
    head = read(0, HEAD_BYTES)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or at + _ASF_PROPERTIES_BYTES > len(head):
        return
    promised, live = int.from_bytes(head[at + 40 : at + 48], "little"), head[at + 88] & _ASF_BROADCAST
    if not live and promised > size_bytes:
        raise truncated(f"its header promises {promised:,} bytes, the file has {size_bytes:,}")


def _first_scan(read: ReadAt, size_bytes: int) -> int | None:
    """Return the offset behind the first start-of-scan segment (ISO/IEC 10918-1, B.1.1.4)."""
    at = 2
    while at + 4 <= size_bytes:
        marker = read(at, 4)
        if marker[0] != 0xFF:  # noqa: PLR2004 -- every marker begins so
            at += 1
        elif marker[1] in {0xFF, 0x01, *range(0xD0, 0xD9)}:
            at += 1 if marker[1] == 0xFF else 2  # noqa: PLR2004 -- fill bytes may be repeated
        else:
            at += 2 + int.from_bytes(marker[2:4], "big")
            if marker[1] == _SCAN_MARKER:
                return at if at < size_bytes else None
    return None


_BY_THEIR_END: Final[Mapping[Family, Callable[[ReadAt, int], None]]] = {
    Family.JPEG: _check_jpeg,
    Family.PNG: _check_png,
    Family.MPEGTS: _check_transport_stream,
    Family.OGG: _check_ogg,
    Family.ASF: _check_asf,
}
