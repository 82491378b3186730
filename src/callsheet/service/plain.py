"""Takes the tricks out of text that a stranger wrote, before a person reads it on a terminal."""

import re
from typing import Final

#: Characters that could steer a terminal or turn the reading direction, and half characters that cannot be
#: written. Tab and newline are not among them.
_TRICKS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Return *text* with such characters written as their numbers."""
    return _TRICKS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def plain_line(text: str) -> str:
    """Return *text* as `plain` does, on one line."""
    return plain(text).replace("\n", "\\n").replace("\t", " ")
