"""Videos with known scenes, one behind the other: what is to be found at which instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.media import ffmpeg

MOVING = "testsrc2"
STILL = "smptebars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Some seconds of one kind."""

    seconds: int
    picture: str = MOVING
    """A source of FFmpeg's, or a colour."""
    volume: float = 0.0
    """Of a tone, 0 to 1; 0 is silence."""

    @property
    def source(self) -> str:
        """As FFmpeg writes it, without size and rate."""
        return self.picture if self.picture in {MOVING, STILL} else f"color=c={self.picture}"


def programme(
    path: Path,
    *scenes: Scene,
    size: str = "320x180",
    rate: str = "25",
    gop: int = 25,
    sound: bool = True,
    codec: Sequence[str] = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
) -> None:
    """Write a video of these scenes."""
    inputs: list[str] = []
    graph = ""
    for number, scene in enumerate(scenes):
        inputs += ["-f", "lavfi", "-i", _picture(scene, size, rate)]
        graph += f"[{number}:v]"
        if sound:
            tone = f"sine=frequency=440:sample_rate=48000:duration={scene.seconds},volume={8 * scene.volume}"
            graph = f"{tone}[a{number}];{graph}[a{number}]"
    graph += f"concat=n={len(scenes)}:v=1:a={int(sound)}[v]{'[a]' if sound else ''}"
    maps = ("-map", "[v]", *(("-map", "[a]") if sound else ()))
    keys = ("-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0")
    ffmpeg(*inputs, "-filter_complex", graph, *maps, *codec, *keys, str(path))


def _picture(scene: Scene, size: str, rate: str) -> str:
    return (
        f"{scene.source}{':' if '=' in scene.source else '='}size={size}:rate={rate}:duration={scene.seconds}"
    )
