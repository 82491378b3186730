"""Takes pictures of one size out of a picture or a video, as a model wants to see them."""

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Final

from av.video.frame import VideoFrame
from PIL import Image

from callsheet.media import kinds
from callsheet.media.facts import MediaLimits
from callsheet.media.faults import MediaFaultError, undecodable
from callsheet.models.resize import Resize
from callsheet.worker.decode import container, moving, still
from callsheet.worker.decode.probe import check_readable, opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.decode.works import SampleArguments, Sampled
from callsheet.worker.sandbox.work import BLOB_LIMIT, Answer

_METHODS: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_FRAMES_IN_ALL: Final = 1_000
"""Frames that are decoded between keyframes, for videos with few of them."""


def sample(arguments: SampleArguments, descriptors: Sequence[int]) -> Answer[Sampled]:
    """Take pictures out of the file behind the first descriptor."""
    source = Source(descriptors[0])
    identity = source.identity()
    try:
        taken = [resized(one, arguments).tobytes() for one in _pictures(source, arguments)]
    except MediaFaultError as error:
        return Answer(value=Sampled(identity=identity, fault=error.fault))
    return Answer(value=Sampled(identity=identity, pictures=len(taken)), blobs=(b"".join(taken),))


def resized(picture: Image.Image, arguments: SampleArguments) -> Image.Image:
    """Return an RGB picture of the size that is asked for."""
    width, height = arguments.size
    method = _METHODS[arguments.interpolation]
    if arguments.resize is Resize.STRETCH:
        return picture.resize((width, height), method)
    choose = max if arguments.resize is Resize.COVER else min
    scale = choose(width / picture.width, height / picture.height)
    across, down = (max(1, round(side * scale)) for side in picture.size)
    scaled = picture.resize((across, down), method)
    whole = Image.new("RGB", (width, height))
    whole.paste(scaled, ((width - across) // 2, (height - down) // 2))
    return whole


def _pictures(source: Source, arguments: SampleArguments) -> Generator[Image.Image]:
    family = kinds.sniff(source.head)
    if family is not None and family in kinds.PICTURES:
        check_readable(source, family)
        with still.opened_picture(source, family, arguments.limits) as image:
            yield still.pixels(image, family, arguments.size, source).convert("RGB")
        return
    with opened_to_play(source, arguments.limits, otherwise="it holds no pictures") as media:
        if media.video is None:
            raise undecodable("it holds no moving pictures")
        width, height = arguments.size
        count = min(arguments.count, BLOB_LIMIT // (width * height * 3))
        for frame in _frames(media, count, arguments.limits):
            yield moving.picture(frame, moving.displayed_size(frame, media))


def _frames(media: container.Opened, count: int, limits: MediaLimits) -> Generator[VideoFrame]:
    """Yield frames spread evenly over a video: keyframes, and others where too few of them are far apart."""
    duration_s = media.duration_s or 0.0
    instants = [duration_s * (place + 0.5) / count for place in range(count)]
    seen: set[int | None] = set()
    missing: list[float] = []
    for instant_s in instants:
        frame = moving.keyframe_near(media, instant_s)
        if frame is None or frame.pts in seen:
            missing.append(instant_s)
        else:
            seen.add(frame.pts)
            yield frame
    found = len(seen)
    with suppress(MediaFaultError):
        for frame, place in moving.frames_at(media, missing, _FRAMES_IN_ALL):
            if place is not None:
                found += 1
                yield frame
    if not found:
        yield moving.chosen_frame(media, 0.0, limits)
