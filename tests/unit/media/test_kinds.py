"""What a file is, told from its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media.kinds import Family, Kind, container_name, promised_kind, sniff


@pytest.mark.parametrize(
    ("head", "family"),
    [
        (b"\xff\xd8\xff\xe0", Family.JPEG),
        (b"\x89PNG\r\n\x1a\n", Family.PNG),
        (b"RIFF\0\0\0\0WEBPVP8 ", Family.WEBP),
        (b"RIFF\0\0\0\0AVI LIST", Family.AVI),
        (b"\0\0\0\x18ftypheic\0\0\0\0", Family.HEIF),
        (b"\0\0\0\x18ftypavif\0\0\0\0", Family.AVIF),
        (b"\0\0\0\x18ftypisom\0\0\0\0", Family.ISO),
        (b"\0\0\0\x08wide\0\0\0\0mdat", Family.ISO),
        (b"\x1a\x45\xdf\xa3", Family.MATROSKA),
        (b"\0" * 20 + b"%PDF-1.7", Family.PDF),
        ((b"\x47" + bytes(187)) * 6, Family.MPEGTS),
    ],
)
def test_format_is_told_from_the_first_bytes(head: bytes, family: Family) -> None:
    assert sniff(head) is family


@pytest.mark.parametrize(
    "head", [b"", b"ffconcat version 1.0\nfile a.mp4", b"BMW is a car", b"\xff\xfb", b"G" * 10]
)
def test_what_only_looks_like_media_is_not_taken_for_it(head: bytes) -> None:
    assert sniff(head) is None


@given(st.binary(max_size=4096))
def test_no_bytes_upset_the_sniffing(head: bytes) -> None:
    assert sniff(head) in {None, *Family}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.JPG", Kind.IMAGE),
        ("x.mkv", Kind.VIDEO),
        ("x.pdf", Kind.DOCUMENT),
        ("x.opus", Kind.AUDIO),
        ("jpg", None),
        (".jpg", None),
        ("a.mp4/readme", None),
        ("notes.txt", None),
    ],
)
def test_names_promise_media_by_their_ending_alone(path: str, kind: Kind | None) -> None:
    assert promised_kind(path) is kind


def test_formats_bear_the_names_people_use() -> None:
    assert container_name(Family.ISO, b"\0\0\0\x14ftypqt  ") == "mov"
    assert container_name(Family.ISO, b"\0\0\0\x14ftypisom") == "mp4"
    assert container_name(Family.MATROSKA, b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm") == "webm"
    assert container_name(Family.JPEG, b"\xff\xd8\xff") == "JPEG"
