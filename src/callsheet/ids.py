"""Makes and checks the ids of jobs and items."""

import re
from typing import Final

import uuid_utils

from callsheet.errors import InvalidError

CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_job_id() -> str:
    """Return a new UUIDv7 in canonical text; later ones sort behind earlier ones."""
    return str(uuid_utils.uuid7())


def check_id(text: str, field: str) -> str:
    """Return *text* in lower case if it is a UUID in canonical form.

    Raises:
        InvalidError: It is not; names *field*.
    """
    lower = text.lower()
    if not CANONICAL.fullmatch(lower):
        message = f"{text[:64]!r} is no UUID in canonical form"
        raise InvalidError(message, field=field)
    return lower
