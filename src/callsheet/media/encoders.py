"""The ways to encode H.264, best first, and the options that mean the same to each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """One rung of the ladder."""

    name: str
    """As results and recipes call it."""
    codec: str
    """As FFmpeg calls it."""
    decodes_on_card: bool = False
    """Whether the card decodes too; frames come back to main memory for the filters."""
    on_card: bool = False
    """Whether the card encodes."""

    @property
    def uses_card(self) -> bool:
        """Whether it does anything on the card."""
        return self.on_card or self.decodes_on_card


#: Rungs that need a card have not been run on a GPU yet.
LADDER: Final = (
    Encoder(name="nvdec+nvenc", codec="h264_nvenc", decodes_on_card=True, on_card=True),
    Encoder(name="nvenc", codec="h264_nvenc", on_card=True),
    Encoder(name="nvdec+libx264", codec="libx264", decodes_on_card=True),
    Encoder(name="libx264", codec="libx264"),
)
SOFTWARE: Final = LADDER[-1]
PRESETS: Final = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
"""As libx264 names them, fastest first."""
_NVENC_PRESETS: Final[dict[str, str]] = dict(
    zip(PRESETS, ("p1", "p1", "p2", "p3", "p4", "p4", "p5", "p6", "p7"), strict=True)
)


def named(name: object) -> Encoder | None:
    """Return the rung of this name; None where there is none."""
    return next((one for one in LADDER if one.name == name), None)


def rungs(*, card: bool, sessions: int) -> Sequence[Encoder]:
    """Return what may be tried: on a card that gives so many encoder sessions, or without one."""
    return [one for one in LADDER if (card or not one.uses_card) and (sessions > 0 or not one.on_card)]


def input_options(encoder: Encoder) -> dict[str, str | float]:
    """Return the options of the input that the encoder reads."""
    return {"hwaccel": "cuda"} if encoder.decodes_on_card else {}


def h264_options(
    encoder: Encoder, *, preset: str, crf: int, maxrate_kbps: int, gop_s: float
) -> dict[str, str | float]:
    """Return the options of an output: quality up to a rate, keyframes at every *gop_s* and nowhere else.

    Args:
        encoder: The rung.
        preset: As libx264 names it.
        crf: 1 to 51, lower is better; 0 would be lossless, which browsers do not play.
        maxrate_kbps: What the buffer, of twice that, never exceeds.
        gop_s: Seconds between keyframes.
    """
    shared: dict[str, str | float] = {
        "c:v": encoder.codec,
        "profile:v": "high",
        "pix_fmt": "yuv420p",
        "maxrate": f"{maxrate_kbps}k",
        "bufsize": f"{maxrate_kbps * 2}k",
        "g": 600,
        "force_key_frames": f"expr:gte(t,n_forced*{gop_s:g})",
    }
    if encoder.on_card:
        own: dict[str, str | float] = {
            "preset": _NVENC_PRESETS[preset], "rc": "vbr", "cq": crf, "b:v": 0, "forced-idr": 1, "bf": 2,
        }  # fmt: skip
    else:
        own = {"preset": preset, "crf": crf, "sc_threshold": 0}
    return shared | own
