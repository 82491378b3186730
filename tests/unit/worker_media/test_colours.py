"""Colours of pictures as they come out: profiles applied, inks turned to light, depth kept in proportion."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from callsheet.media.outputs import PictureFormat
from callsheet.worker.decode.works import Picture, RenderArguments
from tests.support.decoding import rendered
from tests.support.media import corners, quadrants
from tests.support.profiles import cmyk_profile, matrix_profile

RED, GREEN, BLUE = (0.436, 0.222, 0.014), (0.385, 0.717, 0.097), (0.143, 0.061, 0.714)
"""The primaries of sRGB in the space that profiles are connected by (D50)."""


def colour(path: Path) -> tuple[float, float, float]:
    result, pictures = rendered(path)
    assert result.fault is None, result.fault
    red, green, blue = np.asarray(pictures[0]).mean(axis=(0, 1))
    return float(red), float(green), float(blue)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff", "a.webp"])
def test_colours_are_those_that_the_profile_says(tmp_path: Path, name: str) -> None:
    """The profile has green and blue in each other's place: who ignores it shows the wrong ones."""
    exchanged = matrix_profile((RED, BLUE, GREEN), gamma=2.2)
    Image.new("RGB", (60, 40), (0, 0, 255)).save(tmp_path / name, icc_profile=exchanged, quality=95)
    assert colour(tmp_path / name) == pytest.approx((0, 255, 0), abs=6)


def test_light_that_a_profile_calls_linear_becomes_brighter(tmp_path: Path) -> None:
    linear = matrix_profile((RED, GREEN, BLUE), gamma=1.0)
    Image.new("RGB", (60, 40), (55, 55, 55)).save(tmp_path / "a.png", icc_profile=linear)
    expected = 255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055)
    assert colour(tmp_path / "a.png") == pytest.approx((expected,) * 3, abs=3)


@pytest.mark.parametrize("name", ["a.tiff", "a.jpg"])
def test_inks_without_a_profile_become_their_plain_opposite(tmp_path: Path, name: str) -> None:
    Image.new("CMYK", (60, 40), (0, 255, 255, 0)).save(tmp_path / name, quality=95)
    assert colour(tmp_path / name) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize("name", ["a.tiff", "a.jpg"])
def test_inks_with_a_profile_become_what_it_says(tmp_path: Path, name: str) -> None:
    """In this profile pure cyan prints as a light grey, and everything else as black."""
    table = [(0, 128, 128)] * 16
    table[8] = (204, 128, 128)
    Image.new("CMYK", (60, 40), (255, 0, 0, 0)).save(
        tmp_path / name, quality=95, icc_profile=cmyk_profile(table)
    )
    red, green, blue = colour(tmp_path / name)
    assert red == pytest.approx(198, abs=8)
    assert (green, blue) == pytest.approx((red, red), abs=3)


def test_sixteen_bits_keep_their_proportion(tmp_path: Path) -> None:
    deep_png(tmp_path / "a.png", (50_000, 20_000, 10_000))
    assert colour(tmp_path / "a.png") == pytest.approx((50_000 / 257, 20_000 / 257, 10_000 / 257), abs=3)
    Image.fromarray(np.full((60, 80), 40_000, dtype=np.uint16)).save(tmp_path / "a.tiff")
    assert colour(tmp_path / "a.tiff") == pytest.approx((40_000 / 257,) * 3, abs=2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.avif", "a.png"])
def test_animation_shows_its_first_picture(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=200)
    assert colour(tmp_path / name) == pytest.approx((255, 0, 0), abs=6)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tiff", "avif", "heic", "bmp"])
def test_picture_that_is_cut_off_fails_as_truncated(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole.{suffix}"
    Image.effect_noise((400, 300), 60).convert("RGB").save(whole)
    (tmp_path / f"cut.{suffix}").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    result, pictures = rendered(tmp_path / f"cut.{suffix}")
    assert (result.fault and result.fault.kind, pictures) == ("truncated", [])


@pytest.mark.parametrize("made_as", list(PictureFormat))
def test_pictures_are_made_in_the_format_that_is_wanted(tmp_path: Path, made_as: PictureFormat) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    quadrants(640, 400).save(tmp_path / "a.jpg", exif=exif)
    wanted = (Picture(box=300, format=made_as), Picture(width=80, format=made_as))
    arguments = RenderArguments(pictures=wanted)
    result, pictures = rendered(tmp_path / "a.jpg", arguments)
    assert result.sizes == ((300, 188), (80, 50))
    assert [one.format for one in pictures] == [made_as.value.upper()] * 2
    assert [corners(one) for one in pictures] == ["RGBW", "RGBW"]
    assert not pictures[0].getexif()


def deep_png(path: Path, value: tuple[int, int, int], width: int = 40, height: int = 30) -> None:
    rows = (b"\0" + struct.pack(">3H", *value) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(("low", "high"), [(0.25, 1.0), (64.0, 255.0), (-3.0, 3.0)])
def test_real_numbers_become_grey_in_their_proportion(tmp_path: Path, low: float, high: float) -> None:
    values = np.full((40, 80), low, dtype=np.float32)
    values[:, 40:] = high
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tiff")

    _, (made, *_) = rendered(tmp_path / "a.tiff")
    left, right = (made.convert("L").getpixel((x, made.height // 2)) for x in (10, made.width - 10))

    assert right == pytest.approx(255, abs=3)
    assert left == pytest.approx(255 * (low - min(low, 0.0)) / (max(high, 1.0) - min(low, 0.0)), abs=3)
