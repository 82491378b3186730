"""Names for how a derivative is made: the same recipe of the same original is the same picture."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

from callsheet.media.outputs import PictureFormat
from callsheet.media.sprites import TILE_BOX

THUMBNAIL_BOX: Final = 300
"""The box of the usual thumbnail, in pixels."""
PREVIEW_BOX: Final = 1600
"""The box of the usual preview, in pixels."""
_VERSION: Final = 1

THUMBNAIL_RECIPE: Final = f"box{THUMBNAIL_BOX}-v{_VERSION}"
THUMBHASH_RECIPE: Final = f"thumbhash-v{_VERSION}"
WAVEFORM_RECIPE: Final = f"waveform-v{_VERSION}"
PEAKS_RECIPE: Final = f"peaks-v{_VERSION}"
SPRITE_RECIPE: Final = f"sprite{TILE_BOX}-v{_VERSION}"
SPRITE_TRACK_RECIPE: Final = f"sprite{TILE_BOX}-track-v{_VERSION}"


def box_recipe(box: int, made_as: PictureFormat = PictureFormat.JPEG) -> str:
    """Return the recipe of a picture that fits a box of so many pixels."""
    named = "" if made_as is PictureFormat.JPEG else f"-{made_as.value}"
    return f"box{box}{named}-v{_VERSION}"


def still_recipe(timestamp_s: float | None, width: int | None) -> str:
    """Return the recipe of a picture at an instant and of a width; the usual thumbnail's for neither.

    Args:
        timestamp_s: Seconds into the video; None for the best of several instants.
        width: Pixels; None for the usual box.
    """
    if timestamp_s is None and width is None:
        return THUMBNAIL_RECIPE
    size = f"box{THUMBNAIL_BOX}" if width is None else f"w{width}"
    instant = "" if timestamp_s is None else f"-t{round(timestamp_s * 1000)}ms"
    return f"{size}{instant}-v{_VERSION}"


def recipe_of(name: str, wish: Mapping[str, JsonValue]) -> str:
    """Return a recipe that names everything in *wish*: the same wish has the same recipe."""
    text = json.dumps(dict(wish), sort_keys=True, separators=(",", ":"))
    return f"{name}-{blake2b(text.encode(), digest_size=8).hexdigest()}-v{_VERSION}"
