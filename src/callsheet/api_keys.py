"""Makes API keys, and tells what could be one: cs_, 43 random characters, 6 of a checksum."""

import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from zlib import crc32

PREFIX: Final = "cs_"
"""By which a key is found in files where it does not belong."""
RANDOM_BITS: Final = 256
RANDOM_LENGTH: Final = 43
CHECK_LENGTH: Final = 6
PATTERN: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECK_LENGTH}}}")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key as its owner has it. It is shown once and kept nowhere."""

    text: str = field(repr=False)

    @property
    def sha256(self) -> bytes:
        """What is kept of it. A slow hash would add nothing: 256 random bits cannot be guessed."""
        return sha256(self.text.encode()).digest()


def new_key() -> SecretKey:
    """Return a new key."""
    body = PREFIX + _base62(secrets.randbits(RANDOM_BITS), RANDOM_LENGTH)
    return SecretKey(body + _check(body))


def parse_key(text: str) -> SecretKey | None:
    """Return the key that *text* could be, None where it is none: mistyped, cut, or something else."""
    if not PATTERN.fullmatch(text):
        return None
    return SecretKey(text) if _check(text[:-CHECK_LENGTH]) == text[-CHECK_LENGTH:] else None


def _check(body: str) -> str:
    return _base62(crc32(body.encode()), CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
