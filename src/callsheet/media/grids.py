"""Plans a grid of four videos. Values alone."""

from collections.abc import Sequence
from typing import Final

from callsheet.media.compilation import MAXRATE_KBPS, RATE, CompilationWish
from callsheet.media.encoders import Encoder, h264_options
from callsheet.media.recipes import recipe_of
from callsheet.media.streaming import AUDIO_KBPS, GOP_S

TILES: Final = 4
VOICE: Final = 0.5
"""How loud each video is: two at full strength do not overdrive the sum, more are held by a limiter."""
PEAK: Final = 0.95
"""The loudest sample."""
_CRF: Final = 21


def tile_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of one of four tiles."""
    return size[0] // 2, size[1] // 2


def tile_corner(place: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return where the upper left of a tile lies: places count in reading order, from 0."""
    width, height = tile_size(size)
    return place % 2 * width, place // 2 * height


def grid_recipe(wish: CompilationWish, identities: Sequence[str]) -> str:
    """Name the wish and what was chosen: the same of the same gives the same grid."""
    width, height = wish.size
    return recipe_of("grid", {"width": width, "height": height, "clip": wish.clip_s, "of": list(identities)})


def grid_options(encoder: Encoder, frames: int) -> dict[str, str | float]:
    """Return the options of an output of so many frames."""
    return {
        **h264_options(encoder, preset="medium", crf=_CRF, maxrate_kbps=MAXRATE_KBPS, gop_s=GOP_S),
        "c:a": "aac",
        "b:a": f"{AUDIO_KBPS}k",
        "t": f"{frames / RATE:.6f}",
        "f": "mp4",
        "movflags": "+faststart",
        "map_metadata": -1,
        "map_chapters": -1,
    }
