"""Tells errors whose outcome is certain from those that leave it unknown."""

from typing import Final

import asyncpg

#: The statement was refused and nothing was written: the data is at fault, not the database.
DEFINITE: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.ProgramLimitExceededError,
    asyncpg.exceptions.UntranslatableCharacterError,
)


def reason_of(error: Exception) -> str:
    """Return one line for a person."""
    return str(error).split("\n", 1)[0]
