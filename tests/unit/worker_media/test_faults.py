"""Broken, hostile and disguised files: what is said of each."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from callsheet.media.facts import MediaLimits
from callsheet.media.faults import FaultKind
from tests.support.decoding import checked, facts, fault, probed, rendered
from tests.support.media import (
    ffmpeg,
    first_part,
    png_bomb,
    sound,
    video,
)


def test_empty_file_is_told_as_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert fault(tmp_path / "a.mp4").kind is FaultKind.EMPTY


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_half_a_video_is_told_as_truncated(tmp_path: Path, name: str) -> None:
    whole = tmp_path / f"whole_{name}"
    video(whole, codec=("-c:v", "mpeg4") if name == "a.avi" else ())
    first_part(whole, tmp_path / name, 0.6)
    assert fault(tmp_path / name).kind is FaultKind.TRUNCATED


def test_half_a_video_with_its_index_in_front_is_told_as_truncated(tmp_path: Path) -> None:
    video(tmp_path / "plain.mp4")
    ffmpeg(
        "-i", str(tmp_path / "plain.mp4"), "-c", "copy", "-movflags", "+faststart", str(tmp_path / "fast.mp4")
    )
    first_part(tmp_path / "fast.mp4", tmp_path / "half.mp4")
    said = fault(tmp_path / "half.mp4")
    assert said.kind is FaultKind.TRUNCATED
    assert "'mdat'" in said.reason


def test_half_a_fragmented_video_is_told_as_truncated(tmp_path: Path) -> None:
    video(tmp_path / "plain.mp4")
    ffmpeg("-i", str(tmp_path / "plain.mp4"), "-c", "copy", "-movflags", "+frag_keyframe+empty_moov",
           str(tmp_path / "fragments.mp4"))  # fmt: skip
    first_part(tmp_path / "fragments.mp4", tmp_path / "half.mp4")
    assert fault(tmp_path / "half.mp4").kind is FaultKind.TRUNCATED
    assert facts(tmp_path / "fragments.mp4").duration_s == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.heic", "a.avif"])
def test_half_a_picture_is_told_as_truncated(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"whole_{name}")
    first_part(tmp_path / f"whole_{name}", tmp_path / name)
    assert fault(tmp_path / name).kind is FaultKind.TRUNCATED
    assert rendered(tmp_path / name)[0].fault is not None


@pytest.mark.parametrize(("progressive", "kind"), [(False, FaultKind.TRUNCATED), (True, None)])
def test_jpeg_that_was_cut_and_given_an_end_is_found_out(
    tmp_path: Path, *, progressive: bool, kind: FaultKind | None
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg", progressive=progressive)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 3 // 5] + b"\xff\xd9")

    said = checked(tmp_path / "cut.jpg", "decode")

    assert (said.fault.kind if said.fault else None) is kind
    assert (rendered(tmp_path / "cut.jpg")[0].fault is not None) == (kind is not None)
    assert kind or "ends within a scan" in said.warnings[0]
    assert checked(tmp_path / "whole.jpg", "decode").warnings == ()


def test_grey_picture_is_no_cut_one(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (128, 128, 128)).save(tmp_path / "grey.jpg")

    assert rendered(tmp_path / "grey.jpg")[0].fault is None
    assert checked(tmp_path / "grey.jpg", "decode").fault is None


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.wav"])
def test_half_a_recording_is_told_as_truncated(tmp_path: Path, name: str) -> None:
    sound(tmp_path / f"whole_{name}", seconds=20)
    first_part(tmp_path / f"whole_{name}", tmp_path / name)
    assert fault(tmp_path / name).kind is FaultKind.TRUNCATED


TRANSPORT = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize(
    ("name", "codec", "cut"),
    [
        ("a.ts", TRANSPORT, 100),
        ("a.m2ts", (*TRANSPORT, "-mpegts_m2ts_mode", "1"), 1),
        ("a.ogv", ("-c:v", "libtheora"), 1),
        ("a.wmv", ("-c:v", "wmv2"), 1),
    ],
)
def test_copy_of_a_video_that_stopped_early_is_told_as_truncated(
    tmp_path: Path, name: str, codec: tuple[str, ...], cut: int
) -> None:
    video(tmp_path / f"whole_{name}", codec=codec)
    assert checked(tmp_path / f"whole_{name}", "decode").fault is None
    content = (tmp_path / f"whole_{name}").read_bytes()
    for end in (len(content) - cut, len(content) // 2 // 188 * 188 + 7):
        (tmp_path / name).write_bytes(content[:end])
        assert fault(tmp_path / name).kind is FaultKind.TRUNCATED
        said = checked(tmp_path / name, "demux").fault
        assert said is not None
        assert said.kind is FaultKind.TRUNCATED
        broken = rendered(tmp_path / name)[0].fault
        assert broken is not None
        assert "truncated" in broken.reason


@pytest.mark.parametrize(("name", "codec"), [("a.ogg", "libvorbis"), ("a.opus", "libopus")])
def test_half_an_ogg_recording_is_truncated_and_a_stopped_one_is_called_partial(
    tmp_path: Path, name: str, codec: str
) -> None:
    sound(tmp_path / f"whole_{name}", seconds=6, codec=("-c:a", codec))
    assert checked(tmp_path / f"whole_{name}", "demux").warnings == ()
    content = (tmp_path / f"whole_{name}").read_bytes()
    page = content.rindex(b"OggS")
    for end in (len(content) - 1, page + 30, page + 20, page + 6):
        (tmp_path / name).write_bytes(content[:end])
        assert "inside its last page" in fault(tmp_path / name).reason
    (tmp_path / name).write_bytes(content[:page])
    partial = checked(tmp_path / name, "demux")
    assert (partial.fault, len(partial.warnings)) == (None, 1)
    assert "partial" in partial.warnings[0]


def test_length_is_counted_from_where_each_stream_begins(tmp_path: Path) -> None:
    """A Matroska file does not say where its streams begin."""
    video(tmp_path / "a.mkv", seconds=6)
    for depth in ("demux", "decode"):
        verdict = checked(tmp_path / "a.mkv", depth)
        assert (verdict.fault, verdict.warnings, verdict.packets) == (None, (), 150)
        assert verdict.read_s == pytest.approx(6.0)


def test_picture_with_a_hole_in_it_is_undecodable(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 64, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    content = bytearray((tmp_path / "whole.png").read_bytes())
    at = len(content) // 2
    content[at : at + 500] = bytes(500)
    (tmp_path / "a.png").write_bytes(content)
    verdict = checked(tmp_path / "a.png", "decode").fault
    assert verdict is not None
    assert verdict.kind is FaultKind.UNDECODABLE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ffconcat version 1.0\nfile 'real.mp4'\n", "ffconcat playlist"),
        (b"#EXTM3U\n#EXTINF:2,\nreal.mp4\n", "M3U playlist"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>", "SVG"),
        (b"just some words", "text"),
        (bytes(range(256)) * 20, "no media format"),
    ],
)
def test_what_is_no_media_is_told_as_such(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    said = fault(tmp_path / "a.mp4")
    assert said.kind is FaultKind.UNSUPPORTED
    assert says in said.reason


@pytest.mark.parametrize("disguise", ["plain", "as a movie"])
def test_playlist_in_disguise_reads_no_other_file(tmp_path: Path, disguise: str) -> None:
    video(tmp_path / "real.mp4")
    playlist = b"ffconcat version 1.0\nfile real.mp4\n"
    if disguise == "as a movie":  # past our own look at the beginning: the whitelist has to stop it
        playlist = b"ffconcat version 1.0\n# \x00\x01\nfile real.mp4\n"
    (tmp_path / "a.mp4").write_bytes(playlist)
    assert probed(tmp_path / "a.mp4").facts is None
    assert rendered(tmp_path / "a.mp4")[0].sizes == ()
    assert checked(tmp_path / "a.mp4", "decode").fault is not None


def test_file_that_is_no_media_and_not_named_so_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    found = probed(tmp_path / "notes.txt")
    assert found.facts is None
    assert found.fault is None


def test_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    png_bomb(tmp_path / "a.png")
    said = fault(tmp_path / "a.png")
    assert said.kind is FaultKind.UNSUPPORTED
    assert "2,500 megapixels" in said.reason
    assert rendered(tmp_path / "a.png")[0].fault == said


def test_limits_of_length_streams_and_size_are_kept(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4")
    assert "lasts" in fault(tmp_path / "a.mp4", MediaLimits(duration_s=1)).reason
    assert "megapixels" in fault(tmp_path / "a.mp4", MediaLimits(pixels=1000)).reason
    assert "streams" in fault(tmp_path / "a.mp4", MediaLimits(streams=0)).reason


@pytest.mark.parametrize("depth", ["probe", "demux", "decode"])
def test_sound_video_passes_every_depth(tmp_path: Path, depth: str) -> None:
    video(tmp_path / "a.mp4")
    said = checked(tmp_path / "a.mp4", depth)
    assert said.fault is None
    assert said.warnings == ()
    assert (said.packets, said.frames) == {"probe": (0, 0), "demux": (50, 0), "decode": (50, 50)}[depth]


def test_damage_inside_is_found_by_decoding_every_frame(tmp_path: Path) -> None:
    video(tmp_path / "whole.mp4")
    content = bytearray((tmp_path / "whole.mp4").read_bytes())
    start = content.index(b"mdat") + 2000
    content[start : start + 20_000] = bytes(byte ^ 0x5A for byte in content[start : start + 20_000])
    (tmp_path / "a.mp4").write_bytes(content)
    assert checked(tmp_path / "a.mp4", "probe").fault is None
    said = checked(tmp_path / "a.mp4", "decode").fault
    assert said is not None
    assert said.kind is FaultKind.UNDECODABLE


def test_transport_stream_that_ends_between_packets_is_a_shorter_one(tmp_path: Path) -> None:
    """Nothing in it says how long it was to be."""
    video(tmp_path / "whole.ts", seconds=4)
    content = (tmp_path / "whole.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(content[: len(content) // 2 // 188 * 188])
    assert checked(tmp_path / "a.ts", "demux").fault is None
