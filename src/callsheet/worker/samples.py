"""Makes a small library to try the product with, where nobody has media of their own at hand."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from callsheet.worker.ffmpeg import ffmpeg_path

_QUIET: Final = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")
_H264: Final = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
_MAKING_LIMIT_S: Final = 60
_ORIENTATION: Final = 0x0112
_PORTRAIT_TURNED: Final = 6


def make_samples(folder: Path, ffmpeg: Path) -> None:
    """Write about a dozen files: photographs, videos, sounds, a document, and two that are broken.

    Args:
        folder: Made if it is not there; files of the same names are replaced.
        ffmpeg: The program.

    Raises:
        OSError: A file cannot be written.
        subprocess.CalledProcessError: The program refuses.
    """
    for name in ("photos", "videos", "sounds", "documents"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _make_pictures(folder / "photos")
    _make_videos(folder / "videos", ffmpeg)
    _make_sounds(folder / "sounds", ffmpeg)
    _landscape(595, 842, 5).save(folder / "documents" / "leaflet.pdf", resolution=72.0)


def _make_pictures(folder: Path) -> None:
    _landscape(1600, 1066, 1).save(folder / "valley.jpg", quality=88)
    exif = Image.Exif()
    exif[_ORIENTATION] = _PORTRAIT_TURNED
    standing = _landscape(1080, 1440, 2)
    standing.transpose(Image.Transpose.ROTATE_90).save(folder / "standing.jpg", quality=88, exif=exif)
    _badge().save(folder / "badge.png")
    frames = [_landscape(320, 240, 10 + step) for step in range(6)]
    frames[0].save(folder / "seasons.gif", save_all=True, append_images=frames[1:], duration=250, loop=0)
    _landscape(1280, 720, 3).save(folder / "evening.webp", quality=80)
    whole = (folder / "valley.jpg").read_bytes()
    (folder / "broken_copy.jpg").write_bytes(whole[: len(whole) // 2])


def _make_videos(folder: Path, ffmpeg: Path) -> None:
    clock = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=6")
    tone = ("-f", "lavfi", "-i", "sine=frequency=440:duration=6")
    first = folder / "test_card.mp4"
    _run(ffmpeg, *clock, *tone, *_H264, "-c:a", "aac", "-shortest", "-movflags", "+faststart", str(first))
    lying = folder / "lying.mp4"
    _run(ffmpeg, *clock, "-vf", "transpose=clock", *_H264, str(lying))
    _run(ffmpeg, "-display_rotation", "90", "-i", str(lying), "-c", "copy", str(folder / "phone.mp4"))
    lying.unlink()
    _run(ffmpeg, "-f", "lavfi", "-i", "mandelbrot=size=480x270:rate=25", "-t", "4", *_H264,
         str(folder / "fractal.mkv"))  # fmt: skip
    life = "life=size=320x180:mold=10:rate=25:seed=7:death_color=#304060:life_color=#e0c040"
    _run(ffmpeg, "-f", "lavfi", "-i", life, "-t", "3", "-c:v", "libvpx", "-deadline", "realtime",
         str(folder / "life.webm"))  # fmt: skip
    whole = first.read_bytes()
    (folder / "broken_download.mp4").write_bytes(whole[: len(whole) // 3])


def _make_sounds(folder: Path, ffmpeg: Path) -> None:
    chord = "aevalsrc=0.4*sin(440*2*PI*t)*exp(-mod(t\\,2))+0.3*sin(554*2*PI*t)*exp(-mod(t\\,1)):d=8"
    _run(ffmpeg, "-f", "lavfi", "-i", chord, "-c:a", "libmp3lame", "-b:a", "128k", str(folder / "chimes.mp3"))
    _run(ffmpeg, "-f", "lavfi", "-i", "anoisesrc=d=5:c=pink:a=0.4:seed=3,tremolo=f=0.5:d=0.9", "-c:a", "flac",
         str(folder / "surf.flac"))  # fmt: skip


def _run(ffmpeg: Path, *arguments: str) -> None:
    command: Sequence[str] = (str(ffmpeg), *_QUIET, *arguments)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=_MAKING_LIMIT_S)


def _landscape(width: int, height: int, seed: int) -> Image.Image:
    """Return hills under a sky: drawn, so that up is up for whoever looks."""
    rng = np.random.default_rng(seed)
    across = np.arange(width)
    down = np.arange(height)[:, None] / height
    sky = np.array(rng.integers((90, 130, 180), (160, 190, 255)))
    picture: NDArray[np.float64] = sky[None, None, :] * (1.15 - 0.5 * down[..., None]) + np.zeros(
        (1, width, 1)
    )
    for layer in range(4):
        ridge: NDArray[np.float64] = np.full(width, height * (0.42 + 0.14 * layer))
        for wave in (1, 2, 5):
            ridge += height * 0.06 / wave * np.sin(across / width * wave * 5 + rng.uniform(0, 7))
        colour = np.array(rng.integers((30, 70, 20), (110, 150, 90))) * (1 - 0.16 * layer)
        picture[np.arange(height)[:, None] >= ridge[None, :]] = colour
    picture += rng.normal(0, 3, (height, width, 1))
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    sun = min(width, height) // 8
    ImageDraw.Draw(image).ellipse(
        (width // 8, height // 10, width // 8 + sun, height // 10 + sun), fill=(255, 236, 160)
    )
    return image


def _badge() -> Image.Image:
    """Return a round badge on a clear ground."""
    image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((16, 16, 496, 496), fill=(200, 60, 60, 255))
    pen.polygon([(200, 150), (200, 362), (380, 256)], fill=(255, 255, 255, 255))
    return image


def main() -> None:
    """Make the samples in the folder that the first argument names."""
    make_samples(Path(sys.argv[1]), ffmpeg_path(os.environ))


if __name__ == "__main__":
    main()
