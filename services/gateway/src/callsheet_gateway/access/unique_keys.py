"""Unique keys of callers who see their own jobs only: each has a space of its own, which nobody is shown."""

from hashlib import sha256
from typing import Final

from callsheet.errors import InvalidError

#: Characters before such a key.
SPACE_CHARS: Final = 13

#: Characters of a key that the scheduler takes.
STORED_MAX: Final = 200


def own_key(key: str, owner: str) -> str:
    """Return the key that the scheduler keeps for *key* of *owner*.

    Raises:
        InvalidError: It is too long.
    """
    if len(key) > STORED_MAX - SPACE_CHARS:
        raise InvalidError(f"must be at most {STORED_MAX - SPACE_CHARS} characters", field="unique_key")
    return _space(owner) + key


def shown_key(kept: str, owner: str) -> str:
    """Return the key as *owner*, who submitted the job that has it, wrote it."""
    return kept.removeprefix(_space(owner)) if kept else ""


def _space(owner: str) -> str:
    return sha256(owner.encode()).hexdigest()[: SPACE_CHARS - 1] + "/"
