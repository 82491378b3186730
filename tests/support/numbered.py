"""Videos whose frames bear their numbers, and a tone that tells the time: what a join must not disturb."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

TONE_HZ = 440.0
"""Of the tone; it sounds in every second second where it `beats`."""
BITS = 16
_WHOLE = {"int16": 2.0**-15, "int32": 2.0**-31}
ROUNDING = 96
"""Samples by which timestamps in thousandths of a second may be off."""
_SIZE = (320, 176)
_SIDE = 20


def numbered(
    path: Path,
    *,
    frames: int,
    rate: str = "25",
    codec: Sequence[str] = (),
    drop: str = "",
    beats: bool = False,
) -> None:
    """Write a video in which a pattern moves below the number of each frame, written in bits.

    Args:
        path: Its suffix decides the container.
        frames: How many.
        rate: Frames per second, as FFmpeg writes it.
        codec: Options of the output instead of those for H.264.
        drop: An expression of FFmpeg's ``select`` for the frames that stay; the others' time is theirs.
        beats: The tone sounds in odd seconds only.
    """
    width, height = _SIZE
    chosen = codec or ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
    numerator, _, denominator = rate.partition("/")
    seconds = frames * int(denominator or 1) / int(numerator)
    gate = "*mod(floor(t),2)" if beats else ""
    tone = f"aevalsrc='0.5*sin(2*PI*{TONE_HZ}*t){gate}':s=48000:d={seconds}"
    picked = ("-vf", f"select='{drop}'", "-fps_mode", "vfr") if drop else ()
    command = (
        imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{width}x{height}", "-framerate", rate,
        "-i", "pipe:0", "-f", "lavfi", "-i", tone, *picked, *chosen, str(path),
    )  # fmt: skip
    content = b"".join(_frame(number).tobytes() for number in range(frames))
    subprocess.run(command, check=True, timeout=120, input=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A numbered video, decoded to its end."""

    numbers: tuple[int, ...]
    """Of the frames, as they are shown."""
    instants: tuple[float, ...]
    """Of the frames, in seconds, from the file's beginning."""
    pictures: tuple[NDArray[np.uint8], ...]
    """Their luma, ``(height, width)``."""
    sound: NDArray[np.float32]
    """The first channel, from the file's beginning, at 48 kHz."""


def read(path: Path) -> Read:
    """Decode a numbered video and its sound."""
    with av.open(path) as container:
        begin = (container.start_time or 0) / av.time_base
        frames = list(container.decode(video=0))
        pictures = tuple(frame.to_ndarray(format="gray").astype(np.uint8) for frame in frames)
        instants = tuple(float(frame.time or 0) - begin for frame in frames)
    return Read(
        numbers=tuple(_number(picture) for picture in pictures),
        instants=instants,
        pictures=pictures,
        sound=_sound(path, begin),
    )


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return how alike two pictures are, in dB; 99 where they are the same."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 99.0 if error < 1e-5 else 10 * float(np.log10(255**2 / error))


def phase_steps(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how many radians the tone's phase is off from one hundredth of a second to the next."""
    window = 480
    count = len(sound) // window
    at = np.arange(count * window) / 48_000
    turned = sound[: count * window] * np.exp(-2j * np.pi * TONE_HZ * at)
    parts = turned.reshape(count, window)
    # five windows together hold whole periods, so that the other half of the spectrum goes away
    means = np.sum([parts[start : count - 4 + start].mean(1) for start in range(5)], axis=0)
    steps: NDArray[np.float64] = np.abs(np.angle(means[1:] / means[:-1]))
    return steps


def beats_begin(sound: NDArray[np.float32]) -> list[float]:
    """Return the instants in seconds at which the tone begins anew."""
    window = 48
    loud = np.abs(sound[: len(sound) // window * window]).reshape(-1, window).max(1) > 0.1
    smooth = np.convolve(loud, np.ones(9), mode="same") > 4
    return [float(at + 1) * window / 48_000 for at in np.flatnonzero(~smooth[:-1] & smooth[1:])]


def _frame(number: int) -> NDArray[np.uint8]:
    width, height = _SIZE
    across = np.arange(width)[None, :] + 3 * number
    down = np.arange(height)[:, None] * 2 + number
    picture = (64 + 64 * np.sin(across / 17.0) * np.cos(down / 23.0) + 64).astype(np.uint8)
    for bit in range(BITS):
        picture[:_SIDE, bit * _SIDE : (bit + 1) * _SIDE] = 235 if number >> bit & 1 else 20
    return picture


def _number(picture: NDArray[np.uint8]) -> int:
    middle = _SIDE // 2
    cells = (picture[middle, bit * _SIDE + middle] for bit in range(BITS))
    return sum((int(cell) > 128) << bit for bit, cell in enumerate(cells))


def _sound(path: Path, begin: float) -> NDArray[np.float32]:
    with av.open(path) as container:
        parts: list[NDArray[np.float32]] = []
        at = 0
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            wave = samples[0].astype(np.float32) * (_WHOLE.get(samples.dtype.name, 1.0))
            start = round((float(frame.time or 0) - begin) * 48_000)
            if start - at > ROUNDING:
                parts.append(np.zeros(start - at, dtype=np.float32))
                at = start
            elif at - start > ROUNDING:
                wave = wave[at - start :]
            parts.append(wave)
            at += len(wave)
    return np.concatenate(parts)
