"""Writes sizes, durations and instants as people read them."""

from datetime import datetime
from typing import Final

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_STEP: Final = 1_000
_TENTHS_BELOW_S: Final = 9.95


def size_text(size_bytes: int) -> str:
    """Return *size_bytes* in decimal units, such as ``1.4 MB``."""
    if size_bytes < _STEP:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        size /= _STEP
        if size < _STEP - 0.5:
            return f"{size:.1f} {unit}" if size < 100 - 0.05 else f"{size:.0f} {unit}"
    return f"{size / _STEP:.1f} TB"


def duration_text(duration_s: float) -> str:
    """Return a duration by its two largest units, such as ``3 min 20 s``; ``0.4 s`` below ten seconds."""
    if duration_s < _TENTHS_BELOW_S:
        return f"{max(0.0, duration_s):.1f} s"
    whole_s = round(duration_s)
    if whole_s < _MINUTE_S:
        return f"{whole_s} s"
    for large_s, large, small_s, small in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if whole_s >= large_s:
            rest = whole_s % large_s // small_s
            return f"{whole_s // large_s} {large} {rest} {small}" if rest else f"{whole_s // large_s} {large}"
    return f"{whole_s} s"


def ago_text(at: datetime, now: datetime) -> str:
    """Return how long *at* lies before *now*, such as ``20 s ago``; an instant ahead is ``in 20 s``."""
    passed_s = (now - at).total_seconds()
    if abs(passed_s) < 1:
        return "now"
    text = duration_text(float(round(abs(passed_s)))).replace(".0 s", " s")
    return f"{text} ago" if passed_s > 0 else f"in {text}"
