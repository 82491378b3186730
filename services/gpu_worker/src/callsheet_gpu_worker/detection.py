"""Finds the shots of a video: decoded here behind every whitelist, and shown to PySceneDetect by pictures."""

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from callsheet.media.faults import MediaFaultError, undecodable, unsupported
from callsheet.worker.decode import container
from callsheet.worker.decode.meter import Meter
from callsheet.worker.decode.probe import opened_to_play
from callsheet.worker.decode.source import Source
from callsheet.worker.sandbox.work import Answer
from callsheet_gpu_worker.shots import SHOTS_MAX, ShotsArguments, ShotsFound

_WIDTH: Final = 256
"""Of the pictures that are compared: more tells nothing more."""
_RATE: Final = 25.0
"""Of a video that does not say its own."""

cv2.setNumThreads(1)  # a confined child may start no others


def find_shots(arguments: ShotsArguments, descriptors: Sequence[int]) -> Answer[ShotsFound]:
    """Find the shots of the video behind the first descriptor; say on the second how far it is."""
    source = Source(descriptors[0])
    meter = Meter(descriptors[1] if len(descriptors) > 1 else None)
    try:
        with opened_to_play(source, arguments.limits, otherwise="it holds no moving pictures") as media:
            found = _found(media, arguments, meter, source.identity())
    except MediaFaultError as error:
        return Answer(value=ShotsFound(identity=source.identity(), fault=error.fault))
    return Answer(value=found)


def _found(media: container.Opened, arguments: ShotsArguments, meter: Meter, identity: str) -> ShotsFound:
    if media.video is None:
        raise unsupported("it holds no moving pictures")
    rate = float(media.video.average_rate or media.video.guessed_rate or _RATE)
    detector = AdaptiveDetector(
        adaptive_threshold=arguments.threshold, min_scene_len=max(1, round(arguments.min_length_s * rate))
    )
    begin_s = (media.container.start_time or 0) / av.time_base
    times, starts = array("d"), [0]
    for number, frame in enumerate(_frames(media)):
        at_s = frame.time - begin_s if frame.pts is not None else (times[-1] + 1 / rate if times else 0.0)
        times.append(at_s if times else 0.0)
        found = detector.process_frame(FrameTimecode(number, Fraction(rate)), _small(frame))
        starts += [cut.frame_num for cut in found]
        meter.say(at_s, media.duration_s)
    if not times:
        raise undecodable("no frame of it can be decoded")
    kept = starts[:SHOTS_MAX]
    return ShotsFound(
        identity=identity,
        starts=tuple((number, round(times[number], 6)) for number in kept),
        frames=len(times),
        end_s=round(times[-1] + 1 / rate, 6),
        more=len(starts) > len(kept),
    )


def _frames(media: container.Opened) -> Iterator[VideoFrame]:
    """Yield all frames in the order in which they are shown."""
    if media.video is not None:
        media.video.codec_context.skip_frame = "DEFAULT"
        with container.decoder_errors("decoding its pictures"):
            yield from media.container.decode(media.video)


def _small(frame: VideoFrame) -> NDArray[np.uint8]:
    scale = min(1.0, _WIDTH / max(frame.width, frame.height))
    width, height = (max(8, round(side * scale)) for side in (frame.width, frame.height))
    with container.decoder_errors("converting a picture"):
        small = frame.reformat(
            width=width, height=height, format="bgr24", interpolation=Interpolation.AREA, threads=1
        )
        return small.to_ndarray().astype(np.uint8, copy=False)
