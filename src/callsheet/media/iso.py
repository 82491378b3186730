"""The boxes of ISO base media files (ISO/IEC 14496-12): where they end, how the picture is turned."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

ReadAt = Callable[[int, int], bytes]
"""Takes an offset and a length; returns the bytes there, fewer at the end of the file."""

BOX_LIMIT: Final = 10_000
"""Boxes of one level that are looked at."""
_HEADER: Final = 8
_LONG_HEADER: Final = 16
_TRACK_HEADER_BYTES: Final = 104
_PRINTABLE: Final = range(0x20, 0x7F)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box; ``end`` is where its header says that it ends, even beyond the file."""

    name: str
    start: int
    body: int
    end: int


def boxes(read: ReadAt, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets; stops at what is no box."""
    at = start
    for _ in range(BOX_LIMIT):
        header = read(at, _LONG_HEADER)
        if at + _HEADER > end or len(header) < _HEADER:
            return
        size, body = int.from_bytes(header[:4], "big"), at + _HEADER
        if size == 1 and len(header) == _LONG_HEADER:
            size, body = int.from_bytes(header[8:16], "big"), at + _LONG_HEADER
        elif size == 0:
            size = end - at
        if size < body - at or any(byte not in _PRINTABLE and byte != 0xA9 for byte in header[4:8]):  # noqa: PLR2004 -- a copyright sign begins names of text
            return
        yield Box(name=header[4:8].decode("latin-1"), start=at, body=body, end=at + size)
        at += size


def cut_box(read: ReadAt, size_bytes: int) -> Box | None:
    """Return the box of the first level that reaches beyond the end of the file, if one does."""
    return next((box for box in boxes(read, 0, size_bytes) if box.end > size_bytes), None)


def has_index(read: ReadAt, size_bytes: int) -> bool:
    """Say whether the file has the ``moov`` box, without which nothing in it can be found."""
    return any(box.name == "moov" for box in boxes(read, 0, size_bytes))


def is_encrypted(read: ReadAt, size_bytes: int) -> bool:
    """Say whether a track's samples are protected (ISO/IEC 23001-7: entries encv and enca)."""
    for box in boxes(read, 0, size_bytes):
        if box.name == "moov":
            index = read(box.body, min(box.end - box.body, 1 << 20))
            return b"sinf" in index and (b"encv" in index or b"enca" in index)
    return False


def rotation(read: ReadAt, size_bytes: int, track_id: int) -> int:
    """Return the clockwise degrees that make a track's picture upright: 0, 90, 180 or 270.

    Source:
        The matrix of the track header, ISO/IEC 14496-12, 8.3.2.
    """
    for movie in boxes(read, 0, size_bytes):
        if movie.name != "moov":
            continue
        for track in boxes(read, movie.body, min(movie.end, size_bytes)):
            if track.name == "trak":
                turned = _track_rotation(read, track, track_id)
                if turned is not None:
                    return turned
    return 0


def _track_rotation(read: ReadAt, track: Box, track_id: int) -> int | None:
    for box in boxes(read, track.body, track.end):
        if box.name == "tkhd":
            content = read(box.body, _TRACK_HEADER_BYTES)
            shift = 12 if content[:1] == b"\x01" else 0
            if int.from_bytes(content[12 + shift // 3 * 2 : 16 + shift // 3 * 2], "big") != track_id:
                return None
            return matrix_rotation(content[40 + shift : 48 + shift])
    return None


def matrix_rotation(row: bytes) -> int:
    """Return the clockwise degrees, to the next quarter turn, of a matrix's first row.

    Args:
        row: Two signed 16.16 numbers, most significant byte first.
    """
    across = int.from_bytes(row[:4], "big", signed=True)
    down = int.from_bytes(row[4:8], "big", signed=True)
    return round(math.degrees(math.atan2(down, across)) / 90) * 90 % 360
