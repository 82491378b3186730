"""Reads what FFmpeg says: how far it is, and what its failure means for the job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError

OUT_TIME_US: Final = "out_time_us"
_SIGKILL, _SIGTERM, _SIGXCPU, _SIGXFSZ = 9, 15, 24, 25
_CODES: Final = {
    183: BadInputError,  # AVERROR_INVALIDDATA
    234: BadInputError,  # EINVAL: a format that may not be opened, or too many pixels
    228: CapacityError,  # ENOSPC
    244: CapacityError,  # ENOMEM
}
"""What exit codes of FFmpeg 7 and newer mean; older builds say 1 for most."""
_WORDS: Final = (
    ("No space left on device", CapacityError),
    ("Disk quota exceeded", CapacityError),
    ("Cannot allocate memory", CapacityError),
    ("Invalid data found when processing input", BadInputError),
    ("moov atom not found", BadInputError),
    ("is not on the whitelist", BadInputError),
    ("not whitelisted", BadInputError),
    ("could not find codec parameters", BadInputError),
)
_NOISE: Final = ("Conversion failed!", "Error opening input files", "Error opening output files", "Exiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far a run is."""

    done_s: float
    """Seconds of output."""
    part: float
    """Of what is expected, 0 to 1."""
    speed: float
    """Seconds of output in a second; 0 where it does not say."""
    eta_s: float | None
    """Seconds to go; None where nobody can know."""

    @property
    def words(self) -> str:
        """The speed and the rest, for a log."""
        left = "" if self.eta_s is None else f", {self.eta_s:.0f} s to go"
        return f"{self.speed:.2f}x{left}" if self.speed else "speed unknown"


def pace_of(block: Mapping[str, str], expected_s: float) -> Pace:
    """Return what a block of ``-progress`` says, where so many seconds are expected."""
    done_s = max(0.0, _number(block.get(OUT_TIME_US, "")) / 1e6)
    speed = max(0.0, _number(block.get("speed", "").strip().removesuffix("x")))
    part = min(1.0, done_s / expected_s) if expected_s > 0 else 0.0
    eta_s = max(0.0, expected_s - done_s) / speed if speed > 0 and expected_s > 0 else None
    return Pace(done_s=done_s, part=part, speed=speed, eta_s=eta_s)


def failure_of(exit_code: int, stderr: str) -> AttemptError:
    """Return the failure that a run's end stands for; its kind decides about a retry.

    Args:
        exit_code: Negative for a signal.
        stderr: The end of what it wrote.
    """
    said = last_line(stderr)
    if exit_code == -_SIGXFSZ or "File too large" in stderr:
        return BadInputError(
            "the output would be larger than output_limit_mib allows; ask for a lower bitrate"
        )
    if exit_code == -_SIGXCPU:
        return BadInputError("encoding it needs more CPU time than a job may use")
    if exit_code in {-_SIGKILL, -_SIGTERM}:
        return CapacityError("ffmpeg was killed from outside, most likely for want of memory")
    for words, kind in _WORDS:
        if words.lower() in stderr.lower():
            return kind(f"ffmpeg: {said}")
    return _CODES.get(exit_code, TransientError)(f"ffmpeg ended with code {exit_code}: {said}")


def last_line(stderr: str) -> str:
    """Return the last line that says something of the cause, at most 300 characters."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_NOISE)]
    return (telling or lines or ["it said nothing"])[-1][:300]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if value == value and abs(value) < float("inf") else 0.0  # noqa: PLR0124 -- not a number
