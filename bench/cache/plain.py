"""The straightforward way: one process, Pillow and an ffmpeg process for each video, rows in SQLite.

Run as ``python -m bench.cache.plain LIBRARY DATABASE``. What a person writes in an afternoon: every picture
is decoded whole and turned upright, then made small; metadata come from the open picture, or from what
ffmpeg says of a file.
"""

import io
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import imageio_ffmpeg
import pillow_heif
from PIL import Image, ImageOps

BOX: Final = 300
PICTURES: Final = frozenset({".jpg", ".png", ".webp", ".heic", ".tiff"})
_SIZE: Final = re.compile(r"Video: .*? (\d{2,5})x(\d{2,5})")
_DURATION: Final = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")


def main() -> None:
    """Make a thumbnail and a row of metadata of every file."""
    library, database = Path(sys.argv[1]), sys.argv[2]
    pillow_heif.register_heif_opener()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE thumbnails (file_hash TEXT PRIMARY KEY, path TEXT, data BLOB)")
        connection.execute(
            "CREATE TABLE metadata (file_hash TEXT PRIMARY KEY, path TEXT, width INT, height INT, size INT,"
            " duration REAL)"
        )
        for path in sorted(one for one in library.rglob("*") if one.is_file()):
            _keep(connection, path)


def _keep(connection: sqlite3.Connection, path: Path) -> None:
    width, height, duration_s, thumbnail = _picture(path) if path.suffix in PICTURES else _video(path)
    name = sha256(str(path).encode()).hexdigest()
    row = (name, str(path), width, height, path.stat().st_size, duration_s)
    connection.execute("INSERT INTO thumbnails VALUES (?, ?, ?)", (name, str(path), thumbnail))
    connection.execute("INSERT INTO metadata VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.commit()


def _picture(path: Path) -> tuple[int, int, float | None, bytes]:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
        width, height = image.size
        image.thumbnail((BOX, BOX), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        image.save(content, "JPEG", quality=85)
    return width, height, None, content.getvalue()


def _video(path: Path) -> tuple[int, int, float | None, bytes]:
    said = _ffmpeg("-i", str(path)).stderr.decode("utf-8", "replace")
    size, lasts = _SIZE.search(said), _DURATION.search(said)
    scale = f"scale={BOX}:{BOX}:force_original_aspect_ratio=decrease"
    made = _ffmpeg(
        "-ss", "1", "-i", str(path), "-frames:v", "1", "-vf", scale, "-f", "image2", "-c:v", "mjpeg", "pipe:1"
    )
    assert size is not None, said
    assert lasts is not None, said
    assert made.stdout, made.stderr
    hours, minutes, seconds = lasts.groups()
    duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return int(size[1]), int(size[2]), duration_s, made.stdout


def _ffmpeg(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command: Sequence[str] = (imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", *arguments)
    return subprocess.run(command, capture_output=True, check=False)


if __name__ == "__main__":
    main()
