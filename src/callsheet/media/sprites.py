"""Lays out the small pictures of a video for scrubbing, and writes the WebVTT track that finds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from callsheet.media.facts import fit_box

TILE_BOX: Final = 160
"""The box that a small picture fits, in pixels."""
TILES_MAX: Final = 100
"""Small pictures of one sheet."""
INTERVAL_MIN_S: Final = 1.0
"""A picture stands for at least so long."""
COLUMNS_MAX: Final = 10
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """How a sheet is divided. The tiles follow one another row by row, each standing for *interval_s*."""

    duration_s: float
    interval_s: float
    tiles: int
    columns: int
    tile_width: int
    tile_height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        rows = -(-self.tiles // self.columns)
        return self.columns * self.tile_width, rows * self.tile_height

    @property
    def instants(self) -> Sequence[float]:
        """The seconds into the video that the tiles are taken at: the middle of what each stands for."""
        return [
            min((tile + 0.5) * self.interval_s, self.duration_s * (tile + 0.5) / self.tiles)
            for tile in range(self.tiles)
        ]

    def corner(self, tile: int) -> tuple[int, int]:
        """Return the upper left corner of a tile, in pixels from that of the sheet."""
        return tile % self.columns * self.tile_width, tile // self.columns * self.tile_height


def sheet_of(duration_s: float, width: int, height: int) -> Sheet:
    """Return the sheet of a video that lasts so long and is shown at this size.

    Args:
        duration_s: Seconds; for 0 or less the sheet has one tile.
        width: Pixels, upright.
        height: Pixels, upright.
    """
    duration_s = max(0.0, duration_s)
    interval_s = max(INTERVAL_MIN_S, duration_s / TILES_MAX)
    tiles = max(1, min(TILES_MAX, -int(-duration_s // interval_s)))
    tile_width, tile_height = fit_box(width, height, TILE_BOX)
    return Sheet(
        duration_s=duration_s,
        interval_s=interval_s,
        tiles=tiles,
        columns=min(COLUMNS_MAX, tiles),
        tile_width=tile_width,
        tile_height=tile_height,
    )


def track(sheet: Sheet, image: str) -> str:
    """Return the WebVTT track of a sheet: a cue for each tile, with the part of *image* that it is.

    Args:
        sheet: The sheet.
        image: The address of the sheet's picture, relative to that of the track.

    Source:
        W3C WebVTT, 4.1; Media Fragments URI 1.0, 4.2.2, for ``#xywh``.
    """
    return "WEBVTT\n\n" + "\n".join(_cues(sheet, image))


def _cues(sheet: Sheet, image: str) -> Iterator[str]:
    for tile in range(sheet.tiles):
        start_ms = round(tile * sheet.interval_s * 1000)
        last = tile == sheet.tiles - 1
        end_ms = round((sheet.duration_s if last else (tile + 1) * sheet.interval_s) * 1000)
        x, y = sheet.corner(tile)
        part = f"{x},{y},{sheet.tile_width},{sheet.tile_height}"
        yield f"{_stamp(start_ms)} --> {_stamp(max(end_ms, start_ms + 1))}\n{image}#xywh={part}\n"


def _stamp(instant_ms: int) -> str:
    hours, rest = divmod(instant_ms, _HOUR_MS)
    minutes, rest = divmod(rest, _MINUTE_MS)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
