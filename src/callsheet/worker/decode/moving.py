"""Takes still pictures out of videos."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from numpy.typing import NDArray
from PIL import Image

from callsheet.media import frames
from callsheet.media.facts import MediaLimits, check_size
from callsheet.media.faults import MediaFaultError, undecodable
from callsheet.worker.decode.container import Opened, decoder_errors, quarter_turns

_LUMA_SIDE: Final = 160
_FRAMES_TO_INSTANT: Final = 2_000
_HD_ROWS: Final = 720
_BT709: Final = 1
_BT601: Final = frozenset({5, 6})
_BT2020: Final = frozenset({9, 10})
_TURNS: Final = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


def chosen_frame(media: Opened, timestamp_s: float | None, limits: MediaLimits) -> VideoFrame:
    """Return the frame at an instant, or the best of several keyframes.

    Raises:
        MediaFaultError: No frame can be decoded, or it is beyond the limit.
    """
    candidates = [_frame_at(media, timestamp_s)] if timestamp_s is not None else list(_candidates(media))
    found = [frame for frame in candidates if frame is not None]
    if not found:
        raise undecodable("no picture of the video can be decoded")
    frame = found[0] if len(found) == 1 else found[frames.best_frame([_luma(one) for one in found])]
    check_size(frame.width, frame.height, limits)
    return frame


def displayed_size(frame: VideoFrame, media: Opened) -> tuple[int, int]:
    """Return the size a frame is shown at: pixels made square, then turned upright."""
    width = frame.width
    aspect = None if media.video is None else media.video.sample_aspect_ratio
    if aspect and 0.1 < aspect < 10:  # noqa: PLR2004 -- beyond it the header is nonsense
        width = max(1, round(frame.width * float(aspect)))
    return (frame.height, width) if quarter_turns(frame) % 180 else (width, frame.height)


def picture(frame: VideoFrame, size: tuple[int, int]) -> Image.Image:
    """Return a frame as an upright sRGB picture.

    Args:
        frame: As decoded.
        size: Width and height, upright.

    Raises:
        MediaFaultError: Its pixels cannot be converted.
    """
    turned = quarter_turns(frame)
    width, height = (size[1], size[0]) if turned % 180 else size
    with decoder_errors("converting the picture"):
        if frame.color_trc in {frames.PQ, frames.HLG}:
            image = Image.fromarray(_tone_mapped(frame, width, height))
        else:
            image = Image.fromarray(
                _converted(frame, width, height, "rgb24").to_ndarray().astype(np.uint8, copy=False)
            )
    method = _TURNS.get(turned)
    return image if method is None else image.transpose(method)


def _candidates(media: Opened) -> Iterator[VideoFrame]:
    """Yield keyframes around several instants; the first frame where seeking finds none."""
    seen: set[int | None] = set()
    for part in frames.SAMPLE_POINTS if media.duration_s else ():
        frame = keyframe_near(media, part * (media.duration_s or 0.0))
        if frame is not None and frame.pts not in seen:
            seen.add(frame.pts)
            yield frame
    if not seen:
        frame = _from_start(media)
        if frame is not None:
            yield frame


def keyframe_near(media: Opened, instant_s: float) -> VideoFrame | None:
    """Return the keyframe that stands before an instant; None where none can be decoded."""
    if media.video is not None:
        media.video.codec_context.skip_frame = "NONKEY"
    try:
        _seek(media, instant_s)
        return _next_frame(media)
    except MediaFaultError:
        return None


def _from_start(media: Opened) -> VideoFrame | None:
    with suppress(MediaFaultError):
        _seek(media, 0.0)
    if media.video is not None:
        media.video.codec_context.skip_frame = "DEFAULT"
    return _next_frame(media)


def _frame_at(media: Opened, timestamp_s: float) -> VideoFrame | None:
    """Return the last frame not after the instant; the video's last where it is shorter."""
    if media.video is None:
        return None
    media.video.codec_context.skip_frame = "DEFAULT"
    _seek(media, timestamp_s)
    start = _start_s(media)
    shown: VideoFrame | None = None
    with decoder_errors(f"decoding the picture at {timestamp_s:g} s"):
        for count, frame in enumerate(media.container.decode(media.video)):
            late = frame.time - start > timestamp_s + 1e-6
            if late or count >= _FRAMES_TO_INSTANT:
                return shown or frame
            shown = frame
    return shown


def frames_at(media: Opened, instants: Sequence[float], most: int) -> Iterator[tuple[VideoFrame, int | None]]:
    """Yield frames near several instants from one decoding that leaves out what no other frame needs.

    Args:
        media: The video.
        instants: Seconds, ascending.
        most: Frames to decode at most.

    Yields:
        Every frame that is decoded, with None; and the first one not before an instant once more, with
        the place of the instant.

    Raises:
        MediaFaultError: A frame cannot be decoded.
    """
    if media.video is None or not instants:
        return
    media.video.codec_context.skip_frame = "NONREF"
    _seek(media, instants[0])
    start = _start_s(media)
    place = 0
    with decoder_errors("decoding pictures"):
        for frame in islice(media.container.decode(media.video), most):
            yield frame, None
            while place < len(instants) and frame.time - start >= instants[place] - 1e-6:
                yield frame, place
                place += 1
            if place == len(instants):
                return


def _seek(media: Opened, instant_s: float) -> None:
    with decoder_errors(f"seeking to {instant_s:.1f} s"):
        media.container.seek(int((instant_s + _start_s(media)) * av.time_base))


def _start_s(media: Opened) -> float:
    start = media.container.start_time
    return start / av.time_base if start else 0.0


def _next_frame(media: Opened) -> VideoFrame | None:
    if media.video is None:
        return None
    with decoder_errors("decoding a picture"):
        return next(iter(media.container.decode(media.video)), None)


def _luma(frame: VideoFrame) -> NDArray[np.uint8]:
    scale = min(1.0, _LUMA_SIDE / max(frame.width, frame.height))
    width, height = max(8, round(frame.width * scale)), max(8, round(frame.height * scale))
    with decoder_errors("converting the picture"):
        small = frame.reformat(
            width=width, height=height, format="gray", interpolation=Interpolation.AREA, threads=1
        )
        return small.to_ndarray().astype(np.uint8, copy=False)


def _converted(frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
    return frame.reformat(
        width=width,
        height=height,
        format=pixel_format,
        src_colorspace=_matrix(frame),
        interpolation=Interpolation.BICUBIC if width >= frame.width else Interpolation.AREA,
        threads=1,
    )


def _matrix(frame: VideoFrame) -> Colorspace:
    """Return the matrix of the frame's colours; where it does not say, what its height makes likely."""
    named = int(frame.colorspace)
    if named in _BT2020:
        return Colorspace.BT2020
    if named in _BT601:
        return Colorspace.ITU601
    if named == _BT709 or frame.height >= _HD_ROWS:
        return Colorspace.ITU709
    return Colorspace.ITU601


def _tone_mapped(frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    deep = _converted(frame, width, height, "rgb48le").to_ndarray().astype(np.uint16, copy=False)
    return frames.tone_map(deep, int(frame.color_trc))
