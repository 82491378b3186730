"""The command of a grid: clips of one size side by side, the shorter ones frozen, their sound mixed."""

from collections.abc import Mapping
from dataclasses import dataclass

import ffmpeg

from callsheet.media.compilation import RATE
from callsheet.media.encoders import Encoder
from callsheet.media.grids import PEAK, VOICE, grid_options, tile_corner
from callsheet.worker.encode.commands import Command, Input, command, media_input


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What is laid where."""

    size: tuple[int, int]
    """Of the whole."""
    frames: int
    """How many it has."""
    tiles: Mapping[int, int]
    """The descriptors of clips by their place, in reading order; what is left out stays black."""


def grid_command(grid: Grid, encoder: Encoder, output: int) -> Command:
    """Return the command that makes exactly the frames of a grid of clips, each of a tile's size."""
    files = {place: media_input(Input(fd=fd)) for place, fd in grid.tiles.items()}
    frozen = {
        place: file["v"].filter("tpad", stop=-1, stop_mode="clone") for place, file in sorted(files.items())
    }
    stacked = _stacked(frozen, grid.size).filter("fps", RATE)
    voices = [file["a"].filter("apad") for file in files.values()]
    weights = " ".join(str(VOICE) for _ in voices)
    mixed = ffmpeg.filter(voices, "amix", inputs=len(voices), normalize=0, weights=weights)
    sound = mixed.filter("alimiter", limit=PEAK, level=0, latency=1)
    return command(
        [stacked, sound], grid_options(encoder, grid.frames), output=output, inputs=list(grid.tiles.values())
    )


def _stacked(tiles: Mapping[int, ffmpeg.Stream], size: tuple[int, int]) -> ffmpeg.Stream:
    """Lay tiles in their places of a black picture."""
    corners = [tile_corner(place, size) for place in tiles]
    if len(tiles) == 1:
        return next(iter(tiles.values())).filter("pad", *size, *corners[0])
    layout = "|".join(f"{x}_{y}" for x, y in corners)
    joined = ffmpeg.filter(list(tiles.values()), "xstack", inputs=len(tiles), layout=layout, fill="black")
    return joined.filter("pad", *size, 0, 0)
