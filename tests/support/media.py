"""Media for tests: made on the spot by Pillow and FFmpeg, whole and broken."""

import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

_TURN_TO_STORE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def ffmpeg(*arguments: str) -> None:
    """Run FFmpeg to its end."""
    command: Sequence[str] = (
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-y",
        "-nostdin",
        "-loglevel",
        "error",
        *arguments,
    )
    subprocess.run(command, check=True, timeout=60)


def quadrants(width: int = 240, height: int = 160) -> Image.Image:
    """Return a picture whose upper left is red, upper right green, lower left blue, lower right white."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (220, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 200, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 220)
    pixels[height // 2 :, width // 2 :] = (250, 250, 250)
    return Image.fromarray(pixels)


def corners(image: Image.Image) -> str:
    """Return the colours of the four quarters as letters, reading order: upright quadrants are RGBW."""
    names = ""
    for across, down in ((1, 1), (3, 1), (1, 3), (3, 3)):
        pixel = image.convert("RGB").getpixel((image.width * across // 4, image.height * down // 4))
        assert isinstance(pixel, tuple)
        red, green, blue = (value > 128 for value in pixel)
        names += {(True, False, False): "R", (False, True, False): "G", (False, False, True): "B"}.get(
            (red, green, blue), "W" if red and green and blue else "?"
        )
    return names


def picture_with_orientation(path: Path, orientation: int) -> None:
    """Write upright quadrants lying as an EXIF orientation says, so that a reader must turn them back.

    A HEIC or AVIF says so by the properties of its format.
    """
    turn = _TURN_TO_STORE[orientation]
    stored = quadrants() if turn is None else quadrants().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, quality=95, exif=exif.tobytes())


def video(path: Path, *, seconds: float = 2, size: str = "320x180", codec: Sequence[str] = ()) -> None:
    """Write a moving test card."""
    chosen = codec or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}", *chosen, str(path))


def film(
    path: Path,
    *,
    seconds: float = 2,
    size: str = "320x180",
    rate: str = "25",
    gop: int = 25,
    codec: Sequence[str] = (),
    sound: bool = True,
) -> None:
    """Write a moving test card with a tone."""
    chosen = codec or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    tone = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}") if sound else ()
    picture = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
    ffmpeg("-f", "lavfi", "-i", picture, *tone, *chosen, "-g", str(gop), "-keyint_min", str(gop), str(path))


def rotated_video(path: Path, degrees: int) -> None:
    """Write quadrants stored lying down, with a display matrix that makes them upright.

    Args:
        path: An MP4.
        degrees: Clockwise degrees that a player has to turn it by.
    """
    still, lying = path.with_suffix(".png"), path.with_suffix(".lying.mp4")
    turns = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    quadrants().transpose(turns[degrees]).save(still)
    ffmpeg(
        "-loop",
        "1",
        "-i",
        str(still),
        "-t",
        "1",
        "-r",
        "10",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        str(lying),
    )
    ffmpeg("-display_rotation", str(360 - degrees), "-i", str(lying), "-c", "copy", str(path))
    still.unlink()
    lying.unlink()


def sound(path: Path, *, seconds: float = 2, codec: Sequence[str] = ()) -> None:
    """Write a tone."""
    ffmpeg("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}", *codec, str(path))


def png_bomb(path: Path, side: int = 50_000) -> None:
    """Write a small PNG whose header promises *side* times *side* pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    content += _chunk(b"IDAT", zlib.compress(bytes(1 << 20), 9)) + _chunk(b"IEND", b"")
    path.write_bytes(content)


def first_part(source: Path, target: Path, part: float = 0.5) -> None:
    """Write the beginning of a file."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * part)])


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
