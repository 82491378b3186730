"""Whole media of every kind: facts and pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL._imagingcms import createProfile
from PIL.PngImagePlugin import PngImageFile

from callsheet.media.facts import MediaLimits
from callsheet.media.kinds import Kind
from callsheet.worker.decode.render import render
from callsheet.worker.decode.works import (
    Picture,
    RenderArguments,
)
from tests.support.decoding import USUAL, facts, probed, rendered
from tests.support.media import (
    corners,
    ffmpeg,
    picture_with_orientation,
    quadrants,
    rotated_video,
    sound,
    video,
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photograph_is_upright_whatever_its_orientation(tmp_path: Path, orientation: int) -> None:
    picture_with_orientation(tmp_path / "a.jpg", orientation)
    said = facts(tmp_path / "a.jpg")
    assert (said.width, said.height, said.format) == (240, 160, "JPEG")
    result, pictures = rendered(tmp_path / "a.jpg")
    assert result.fault is None
    assert [corners(picture) for picture in pictures] == ["RGBW", "RGBW"]
    assert not pictures[0].getexif()


@pytest.mark.parametrize("behind_the_pixels", [False, True])
def test_png_is_turned_wherever_its_exif_lies(tmp_path: Path, *, behind_the_pixels: bool) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    quadrants().transpose(Image.Transpose.ROTATE_90).save(path, compress_level=0, exif=exif)
    if behind_the_pixels:
        content = path.read_bytes()
        start = content.index(b"eXIf") - 4
        chunk = content[start : start + 12 + int.from_bytes(content[start : start + 4], "big")]
        path.write_bytes(content.replace(chunk, b"").replace(b"\0\0\0\0IEND", chunk + b"\0\0\0\0IEND"))
    assert (facts(path).width, facts(path).height) == (240, 160)
    assert corners(rendered(path)[1][0]) == "RGBW"


def test_facts_of_a_png_cost_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quadrants().save(tmp_path / "a.png", compress_level=0)
    decoded: list[PngImageFile] = []

    def load(image: PngImageFile) -> None:
        decoded.append(image)

    monkeypatch.setattr(PngImageFile, "load", load)
    assert (facts(tmp_path / "a.png").width, facts(tmp_path / "a.png").height) == (240, 160)
    assert not decoded


@pytest.mark.parametrize("suffix", ["heic", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_that_its_format_turns_is_turned_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Both writers note the turn as a property of the picture, which rules; EXIF says it again."""
    picture = tmp_path / f"a.{suffix}"
    picture_with_orientation(picture, orientation)
    assert (orientation in {5, 6, 7, 8}) <= (b"irot" in picture.read_bytes())
    said = facts(picture)
    assert (said.width, said.height) == (240, 160)
    result, pictures = rendered(picture)
    assert result.fault is None
    assert [corners(one) for one in pictures] == ["RGBW", "RGBW"]


def test_exif_alone_turns_no_heic(tmp_path: Path) -> None:
    """A HEIC is turned by its properties, and EXIF is told for information (ISO/IEC 23000-22, 7.3.9)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    quadrants().save(tmp_path / "a.heic", exif=exif)
    assert b"irot" not in (tmp_path / "a.heic").read_bytes()
    assert (facts(tmp_path / "a.heic").width, facts(tmp_path / "a.heic").height) == (240, 160)
    assert corners(rendered(tmp_path / "a.heic")[1][0]) == "RGBW"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_video_is_upright_whatever_its_rotation(tmp_path: Path, degrees: int) -> None:
    rotated_video(tmp_path / "a.mp4", degrees)
    said = facts(tmp_path / "a.mp4")
    assert (said.width, said.height, said.rotation) == (240, 160, degrees)
    result, pictures = rendered(tmp_path / "a.mp4")
    assert result.sizes == ((240, 160), (240, 160))
    assert corners(pictures[0]) == "RGBW"


CONTAINERS: Sequence[tuple[str, Sequence[str], str, str]] = [
    ("a.mp4", (), "mp4", "h264"),
    ("a.mov", (), "mov", "h264"),
    ("a.mkv", (), "matroska", "h264"),
    ("a.webm", ("-c:v", "libvpx", "-deadline", "realtime"), "webm", "vp8"),
    ("a.ts", (), "mpegts", "h264"),
    ("a.avi", ("-c:v", "mpeg4"), "avi", "mpeg4"),
    ("a.mpg", ("-c:v", "mpeg2video"), "mpeg", "mpeg2video"),
    ("a.flv", (), "flv", "h264"),
]


@pytest.mark.parametrize(("name", "codec", "container", "said_codec"), CONTAINERS)
def test_containers_of_video_are_read(
    tmp_path: Path, name: str, codec: Sequence[str], container: str, said_codec: str
) -> None:
    video(tmp_path / name, codec=codec)
    said = facts(tmp_path / name)
    assert (said.kind, said.format, said.video_codec) == (Kind.VIDEO, container, said_codec)
    assert (said.width, said.height, said.audio_codec) == (320, 180, "")
    assert said.duration_s == pytest.approx(2, abs=0.15)
    assert said.frame_rate == pytest.approx(25, abs=0.1)
    result, pictures = rendered(tmp_path / name)
    assert result.sizes == ((300, 169), (320, 180))
    assert len(bytes.fromhex(result.thumbhash_hex)) <= 25
    assert np.asarray(pictures[0]).std() > 30


@pytest.mark.parametrize(
    ("name", "codec", "container", "said_codec"),
    [
        ("a.mp3", ("-c:a", "libmp3lame"), "mp3", "mp3"),
        ("a.wav", (), "wav", "pcm_s16le"),
        ("a.aac", ("-c:a", "aac"), "aac", "aac"),
        ("a.ogg", ("-c:a", "libvorbis"), "ogg", "vorbis"),
        ("a.opus", ("-c:a", "libopus"), "ogg", "opus"),
        ("a.flac", (), "flac", "flac"),
        ("a.m4a", ("-c:a", "aac"), "mp4", "aac"),
    ],
)
def test_containers_of_sound_are_read(
    tmp_path: Path, name: str, codec: Sequence[str], container: str, said_codec: str
) -> None:
    sound(tmp_path / name, codec=codec)
    said = facts(tmp_path / name)
    assert (said.kind, said.format, said.audio_codec, said.width) == (Kind.AUDIO, container, said_codec, 0)
    assert said.duration_s == pytest.approx(2, abs=0.2)
    result, pictures = rendered(tmp_path / name)
    assert result.sizes == ((300, 150), (1600, 800))
    assert result.thumbhash_hex == ""
    assert np.asarray(pictures[0]).std() > 10


@pytest.mark.parametrize(
    ("name", "said_format"),
    [
        ("a.png", "PNG"),
        ("a.gif", "GIF"),
        ("a.webp", "WEBP"),
        ("a.bmp", "BMP"),
        ("a.tiff", "TIFF"),
        ("a.avif", "AVIF"),
        ("a.heic", "HEIF"),
    ],
)
def test_formats_of_pictures_are_read(tmp_path: Path, name: str, said_format: str) -> None:
    quadrants().save(tmp_path / name)
    said = facts(tmp_path / name)
    assert (said.kind, said.format, said.width, said.height) == (Kind.IMAGE, said_format, 240, 160)
    assert corners(rendered(tmp_path / name)[1][0]) == "RGBW"


def test_document_shows_its_first_page(tmp_path: Path) -> None:
    quadrants(300, 400).save(tmp_path / "a.pdf", save_all=True, append_images=[Image.new("RGB", (300, 400))])
    said = facts(tmp_path / "a.pdf")
    assert (said.kind, said.format, said.pages) == (Kind.DOCUMENT, "PDF", 2)
    result, pictures = rendered(tmp_path / "a.pdf")
    assert result.sizes == ((225, 300), (1200, 1600))
    assert corners(pictures[0]) == "RGBW"


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "film.mp4")
    assert facts(tmp_path / "film.mp4").format == "PNG"
    video(tmp_path / "v.mp4")
    (tmp_path / "v.mp4").rename(tmp_path / "no_suffix")
    assert facts(tmp_path / "no_suffix").kind is Kind.VIDEO


def test_animation_tells_how_long_it_runs(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), (step * 20, 0, 0)) for step in range(5)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=200)
    said = facts(tmp_path / "a.gif")
    assert said.duration_s == pytest.approx(1.0)
    assert (said.extra["frames"], said.extra["framesCounted"]) == (5, True)
    limited = probed(tmp_path / "a.gif", MediaLimits(animation_pixels=800))
    assert limited.facts is not None
    assert limited.facts.extra["framesCounted"] is False


def test_transparent_ground_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("LA", (50, 50), (0, 0)).save(tmp_path / "grey.png")
    for name in ("clear.png", "grey.png"):
        assert np.asarray(rendered(tmp_path / name)[1][0]).min() > 250


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "RGB"])
def test_every_mode_of_picture_ends_as_colour(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((60, 80), 40_000, dtype=np.uint16))
    else:
        image = Image.new("RGB", (80, 60), (160, 160, 160)).convert(mode)
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    image.save(path)
    _, pictures = rendered(path)
    assert pictures[0].mode == "RGB"
    assert 100 < np.asarray(pictures[0]).mean() < 256


def test_colour_profile_is_applied_and_left_out(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(createProfile("XYZ", 0)).tobytes()
    quadrants().save(tmp_path / "odd.jpg", icc_profile=profile)
    quadrants().save(tmp_path / "junk.jpg", icc_profile=b"not a profile")
    for name in ("odd.jpg", "junk.jpg"):
        result, pictures = rendered(tmp_path / name)
        assert result.fault is None
        assert "icc_profile" not in pictures[0].info


def test_cover_picture_does_not_make_a_recording_a_video(tmp_path: Path) -> None:
    sound(tmp_path / "plain.mp3")
    quadrants().save(tmp_path / "cover.jpg")
    ffmpeg("-i", str(tmp_path / "plain.mp3"), "-i", str(tmp_path / "cover.jpg"), "-map", "0", "-map", "1",
           "-c", "copy", "-disposition:v", "attached_pic", str(tmp_path / "a.mp3"))  # fmt: skip
    said = facts(tmp_path / "a.mp3")
    assert (said.kind, said.video_codec) == (Kind.AUDIO, "")
    assert rendered(tmp_path / "a.mp3")[0].sizes[0] == (300, 150)


def test_black_beginning_is_not_what_stands_for_a_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=black:size=320x180:rate=10:duration=3", "-f", "lavfi", "-i",
           "testsrc2=size=320x180:rate=10:duration=3", "-filter_complex", "concat=n=2", "-g", "5", "-pix_fmt",
           "yuv420p", str(tmp_path / "a.mp4"))  # fmt: skip
    assert np.asarray(rendered(tmp_path / "a.mp4")[1][0]).std() > 30


def test_picture_at_an_instant_is_of_that_instant(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:size=160x90:rate=10:duration=2", "-f", "lavfi", "-i",
           "color=blue:size=160x90:rate=10:duration=2", "-filter_complex", "concat=n=2", "-g", "100",
           "-pix_fmt", "yuv420p", str(tmp_path / "a.mp4"))  # fmt: skip
    for instant, colour in ((0.0, 0), (1.9, 0), (2.0, 2), (3.5, 2), (60.0, 2)):
        arguments = RenderArguments(pictures=(Picture(width=320),), timestamp_s=instant)
        result, pictures = rendered(tmp_path / "a.mp4", arguments)
        assert result.sizes == ((320, 180),)
        assert int(np.asarray(pictures[0]).mean(axis=(0, 1)).argmax()) == colour, instant


def test_video_with_oblong_pixels_is_shown_in_its_true_shape(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4", size="320x240")
    ffmpeg("-i", str(tmp_path / "a.mp4"), "-vf", "setsar=2", "-c:v", "libx264", str(tmp_path / "wide.mp4"))
    assert facts(tmp_path / "wide.mp4").extra["sampleAspectRatio"] == "2"
    assert rendered(tmp_path / "wide.mp4")[0].sizes[0] == (300, 112)


def test_transparent_thumbnails_carry_nothing_of_the_original_but_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    quadrants().save(tmp_path / "a.jpg", exif=exif, comment=b"secret comment")
    assert facts(tmp_path / "a.jpg").extra["cameraMake"] == "Secret Camera"
    with (tmp_path / "a.jpg").open("rb") as file:
        blobs = render(USUAL, [file.fileno()]).blobs
    assert not any(b"ecret" in blob or b"Exif" in blob for blob in blobs)
