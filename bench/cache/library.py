"""Makes the library that cache building is measured on: photographs, screenshots and short videos."""

import subprocess
from pathlib import Path
from typing import Final

import imageio_ffmpeg
import numpy as np
import pillow_heif
from PIL import Image

LARGE: Final = (4000, 3000)
SCREEN: Final = (1920, 1080)


def make_library(folder: Path, files: int) -> None:
    """Write so many files; of twenty, 13 are JPEG of 12 megapixels, 3 PNG, 1 WebP, 1 HEIC, 2 MP4."""
    pillow_heif.register_heif_opener()
    folder.mkdir(parents=True)
    photo, screen = _picture(LARGE, seed=1), _picture(SCREEN, seed=2)
    for number in range(files):
        kind = number % 20
        name = folder / f"{number:05d}"
        mark = Image.new("RGB", (64, 64), (number % 256, number * 7 % 256, number * 31 % 256))
        if kind < 13:  # noqa: PLR2004 -- as the docstring says
            photo.paste(mark, (number % 3900, 40))
            photo.save(name.with_suffix(".jpg"), quality=88)
        elif kind < 16:  # noqa: PLR2004 -- as the docstring says
            screen.paste(mark, (number % 1800, 40))
            screen.save(name.with_suffix(".png"), compress_level=1)
        elif kind == 16:  # noqa: PLR2004 -- as the docstring says
            screen.paste(mark, (number % 1800, 40))
            screen.save(name.with_suffix(".webp"), quality=80, method=0)
        elif kind == 17:  # noqa: PLR2004 -- as the docstring says
            screen.paste(mark, (number % 1800, 40))
            screen.save(name.with_suffix(".heic"), quality=60)
        else:
            _video(name.with_suffix(".mp4"), number)


def _picture(size: tuple[int, int], *, seed: int) -> Image.Image:
    """Return a picture with large shapes and fine grain, so that it is as hard to decode as a photograph.

    A JPEG of it has 1.4 bits a pixel. Three photographs of 4 to 13 megapixels had 1.3, 1.4 and 1.7.
    """
    chance = np.random.default_rng(seed)
    width, height = size
    rough = chance.integers(0, 255, (height // 100, width // 100, 3), dtype=np.uint8)
    shapes = np.asarray(Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
    grain = chance.integers(-6, 6, (height, width, 1), dtype=np.int16)
    return Image.fromarray(np.clip(shapes + grain, 0, 255).astype(np.uint8))


def _video(path: Path, number: int) -> None:
    source = f"testsrc2=size=1280x720:rate=25:duration=8,hue=h={number * 11 % 360}"
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source,
            "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", str(path),
        ],
        check=True,
    )  # fmt: skip
