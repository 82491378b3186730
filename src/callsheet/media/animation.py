"""Plans an animated picture of a part of a video. Values alone."""

from dataclasses import asdict, dataclass
from typing import Final

from callsheet.media.facts import fit_width
from callsheet.media.recipes import recipe_of
from callsheet.media.streaming import tone_map_filters
from callsheet.media.survey import VideoTrack

MEDIA_TYPES: Final = {"gif": "image/gif", "webp": "image/webp"}
_ONE_PALETTE: Final = (
    "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnimationWish:
    """What somebody asks for."""

    start_s: float = 0.0
    duration_s: float = 5.0
    width: int = 480
    fps: int = 12
    format: str = "gif"

    @property
    def recipe(self) -> str:
        """Names the wish: the same of the same content gives the same animation."""
        return recipe_of("animation", asdict(self))


def animation_size(video: VideoTrack, wish: AnimationWish) -> tuple[int, int]:
    """Return width and height; nothing is enlarged."""
    return fit_width(video.width, video.height, min(wish.width, video.width))


def animation_filters(video: VideoTrack, wish: AnimationWish) -> list[str]:
    """Return the filters; a GIF gets one palette of 256 colours, chosen for what moves."""
    width, height = animation_size(video, wish)
    return [
        f"fps={wish.fps}",
        f"scale={width}:{height}:flags=lanczos",
        "setsar=1",
        *(tone_map_filters() if video.hdr else []),
        *([_ONE_PALETTE] if wish.format == "gif" else ["format=yuv420p"]),
    ]


def animation_options(wish: AnimationWish) -> dict[str, str | float]:
    """Return the options of the output, which repeats for ever."""
    if wish.format == "gif":
        return {"f": "gif", "c:v": "gif", "loop": 0}
    return {"f": "webp", "c:v": "libwebp_anim", "quality": 70, "loop": 0}
