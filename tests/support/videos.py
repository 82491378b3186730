"""Looks at videos as a test does: every frame's instant, its size, its colours."""

from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A video decoded to its end."""

    codecs: tuple[str, ...]
    size: tuple[int, int]
    instants: tuple[float, ...]
    """Of its frames, in seconds, from the first."""
    keyframes: tuple[float, ...]
    sound_s: float
    pixel_format: str
    rotation: int
    frame: Image.Image
    """One in the middle, as shown."""


def seen(path: Path) -> Seen:
    """Decode a video."""
    with av.open(path) as container:
        video = container.streams.video[0]
        frames = [(frame.time or 0.0, frame.key_frame) for frame in container.decode(video)]
        codecs = tuple(stream.codec_context.name for stream in container.streams if stream.type != "data")
        size = (video.codec_context.width, video.codec_context.height)
        pixel_format = video.codec_context.pix_fmt or ""
    sound_s = 0.0
    with av.open(path) as container:
        if container.streams.audio:
            sound_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    frame = picture_at(path, len(frames) // 2)
    begin = frames[0][0]
    return Seen(
        codecs=codecs,
        size=size,
        instants=tuple(at - begin for at, _ in frames),
        keyframes=tuple(at - begin for at, key in frames if key),
        sound_s=sound_s,
        pixel_format=pixel_format,
        rotation=frame[1],
        frame=frame[0],
    )


def picture_at(path: Path, number: int) -> tuple[Image.Image, int]:
    """Return a frame by its number, and the degrees that a player has to turn it by."""
    with av.open(path) as container:
        for count, frame in enumerate(container.decode(video=0)):
            if count == number:
                return Image.fromarray(frame.to_ndarray(format="rgb24")), frame.rotation
    raise AssertionError(f"{path} has no frame {number}")


def index_in_front(path: Path) -> bool:
    """Say whether an MP4 can be played before all of it has come."""
    content = path.read_bytes()
    return 0 < content.find(b"moov") < content.find(b"mdat")
