"""Wholeness and rotation, read from headers."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media import iso
from callsheet.media.faults import FaultKind, MediaFaultError
from callsheet.media.kinds import Family
from callsheet.media.wholeness import check_wholeness


def reader(content: bytes) -> iso.ReadAt:
    return lambda offset, length: content[offset : offset + length]


def box(name: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(content) if size is None else size) + name + content


def track(number: int, matrix: tuple[int, int], version: int = 0) -> bytes:
    times = 8 if version else 4
    content = bytes([version, 0, 0, 0]) + bytes(2 * times) + struct.pack(">I", number) + bytes(4 + times + 16)
    content += struct.pack(">ii", *(part << 16 for part in matrix)) + bytes(28 + 8)
    return box(b"trak", box(b"tkhd", content))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("matrix", "degrees"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)])
def test_rotation_is_read_from_the_right_track(matrix: tuple[int, int], degrees: int, version: int) -> None:
    content = box(b"ftyp", b"isom") + box(b"moov", track(1, (1, 0)) + track(2, matrix, version))
    assert iso.rotation(reader(content), len(content), 2) == degrees
    assert iso.rotation(reader(content), len(content), 1) == 0


def test_box_that_reaches_beyond_the_file_means_truncation() -> None:
    content = box(b"ftyp", b"isom") + box(b"moov") + box(b"mdat", b"x" * 50, size=1000)
    with pytest.raises(MediaFaultError, match="'mdat' should reach to byte 1,020") as caught:
        check_wholeness(Family.ISO, reader(content), len(content))
    assert caught.value.fault.kind is FaultKind.TRUNCATED


def test_recording_without_an_index_means_truncation() -> None:
    content = box(b"ftyp", b"isom") + box(b"mdat", b"x" * 50)
    with pytest.raises(MediaFaultError, match="moov"):
        check_wholeness(Family.ISO, reader(content), len(content))


def test_box_of_size_zero_reaches_to_the_end() -> None:
    content = box(b"ftyp", b"isom") + box(b"moov") + box(b"mdat", b"x" * 50, size=0)
    check_wholeness(Family.ISO, reader(content), len(content))
    assert iso.cut_box(reader(content), len(content)) is None


def test_protected_tracks_are_seen() -> None:
    content = box(b"moov", box(b"trak", box(b"encv", box(b"sinf"))))
    assert iso.is_encrypted(reader(content), len(content))
    assert not iso.is_encrypted(reader(box(b"moov", box(b"avc1"))), 100)


@pytest.mark.parametrize("family", list(Family))
@given(content=st.binary(max_size=600))
def test_no_bytes_upset_the_check_for_wholeness(family: Family, content: bytes) -> None:
    with suppress(MediaFaultError):
        check_wholeness(family, reader(content), len(content))
    assert iso.rotation(reader(content), len(content), 1) in {0, 90, 180, 270}


def test_matroska_segment_is_held_against_the_size() -> None:
    head = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x08\x00\x00\x00\xff" + bytes(40)
    with pytest.raises(MediaFaultError, match="Segment"):
        check_wholeness(Family.MATROSKA, reader(head), len(head))
    live = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + bytes(40)
    check_wholeness(Family.MATROSKA, reader(live), len(live))


def test_trailer_behind_a_jpeg_is_no_truncation() -> None:
    scan = b"\xff\xd8" + b"\xff\xda\x00\x04ab" + b"data"
    check_wholeness(Family.JPEG, reader(scan + b"\xff\xd9" + b"trailer"), 30)
    with pytest.raises(MediaFaultError, match="EOI"):
        check_wholeness(Family.JPEG, reader(scan), len(scan))
