"""Small files that promise, or turn into, more than anybody can hold."""

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from PIL import Image

from tests.support.media import ffmpeg, png_bomb, quadrants

HUGE: Final = 65_500
_SOF0: Final = b"\xff\xc0\x00\x11\x08"


def _jpeg(path: Path) -> None:
    quadrants().save(path)
    path.write_bytes(_with_huge_frames(path.read_bytes()))


def _with_huge_frames(content: bytes) -> bytes:
    """Return the content with every JPEG frame in it said to be huge."""
    size = struct.pack(">HH", HUGE, HUGE)
    parts = content.split(_SOF0)
    assert len(parts) > 1
    return _SOF0.join([parts[0], *(size + part[4:] for part in parts[1:])])


def _motion_jpeg(path: Path) -> None:
    """Write a container that says 64 by 64 pixels around frames that say `HUGE`."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5:duration=1", "-c:v", "mjpeg", str(path))
    path.write_bytes(_with_huge_frames(path.read_bytes()))


def _gif(path: Path) -> None:
    frames = [Image.new("P", (2, 2), number % 2) for number in range(300)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=10)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", HUGE, HUGE)
    path.write_bytes(bytes(content))


def _tiff(path: Path) -> None:
    """Write a directory of tags (TIFF 6.0, 2) that says `HUGE`, and one strip."""
    tags = {256: HUGE, 257: HUGE, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: HUGE, 279: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 12) + bytes(4) + struct.pack("<H", len(tags)) + entries + bytes(4)
    )


def _in_boxes(path: Path) -> None:
    """Write a HEIC or AVIF whose ``ispe`` property (ISO/IEC 23008-12, 6.5.3) says `HUGE`."""
    quadrants(256, 256).save(path)
    content = path.read_bytes()
    small = b"ispe" + struct.pack(">III", 0, 256, 256)
    assert small in content
    path.write_bytes(content.replace(small, b"ispe" + struct.pack(">III", 0, HUGE, HUGE)))


def _webp(path: Path) -> None:
    Image.new("RGB", (16, 16)).save(path, lossless=True)
    content = path.read_bytes()
    at = content.index(b"VP8L") + 9
    path.write_bytes(content[:at] + struct.pack("<I", 16_383 | 16_383 << 14) + content[at + 4 :])


def _bmp(path: Path) -> None:
    quadrants().save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = struct.pack("<ii", HUGE, HUGE)
    path.write_bytes(bytes(content))


def inflating_page(path: Path, megabytes: int = 2000) -> None:
    """Write a page whose content is so much drawing when it is inflated, in two steps."""
    drawing = zlib.compressobj(9)
    part = b"0 0 m 9 9 l S\n" * 75_000
    once = b"".join(drawing.compress(part) for _ in range(megabytes)) + drawing.flush()
    _write_pdf(path, zlib.compress(once, 9), "/Filter [/FlateDecode /FlateDecode]", "0 0 612 792")


def _wide_pdf(path: Path) -> None:
    _write_pdf(path, b"", "", "0 0 999999999 999999999")


def _write_pdf(path: Path, content: bytes, filters: str, box: str) -> None:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R >>".encode(),
        f"<< /Length {len(content)} {filters} >>\nstream\n".encode() + content + b"\nendstream",
    ]
    made = b"%PDF-1.4\n"
    places: list[int] = []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 5\n0000000000 65535 f \n" + table + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n"
    path.write_bytes(made + end + b"%d\n%%%%EOF\n" % len(made))


def _wide_video(path: Path) -> None:
    """Write a Matroska whose track says `HUGE` (RFC 9559, 5.1.4.1.28.6)."""
    source = "testsrc2=size=320x300:rate=5:duration=1"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "rawvideo", "-pix_fmt", "yuv420p", str(path))
    content = path.read_bytes()
    for mark, size in ((b"\xb0\x82", 320), (b"\xba\x82", 300)):
        assert mark + struct.pack(">H", size) in content
        content = content.replace(mark + struct.pack(">H", size), mark + struct.pack(">H", HUGE))
    path.write_bytes(content)


def _many_streams(path: Path) -> None:
    maps = [word for _ in range(150) for word in ("-map", "0:a")]
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=duration=0.1:sample_rate=8000",
        *maps,
        "-c:a",
        "mp2",
        "-ar",
        "16000",
        str(path),
    )


def _sample_rate(rate: int, channels: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        form = struct.pack("<HHIIHH", 1, channels, rate, rate, max(1, channels % 65_535), 16)
        content = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 4096) + bytes(4096)
        path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)

    return write


BOMBS: Final[Mapping[str, Callable[[Path], None]]] = {
    "pixels.png": png_bomb,
    "pixels.jpg": _jpeg,
    "pixels.gif": _gif,
    "pixels.tiff": _tiff,
    "pixels.avif": _in_boxes,
    "pixels.heic": _in_boxes,
    "pixels.webp": _webp,
    "pixels.bmp": _bmp,
    "inflates.pdf": inflating_page,
    "wide.pdf": _wide_pdf,
    "wide.mkv": _wide_video,
    "frames.avi": _motion_jpeg,
    "streams.mkv": _many_streams,
    "fast.wav": _sample_rate(0xFFFF_FFFF, 2),
    "still.wav": _sample_rate(0, 2),
    "channels.wav": _sample_rate(48_000, 65_535),
}
"""By name: what writes such a file."""
PLAYED: Final = frozenset({"wide.mkv", "frames.avi", "fast.wav", "still.wav", "channels.wav"})
"""Those that are played and say nothing against it in their number of streams."""
