"""Reads secrets from files."""

import logging
import stat
from pathlib import Path
from typing import Final

from callsheet.errors import InvalidError

log = logging.getLogger(__name__)

CHARACTERS_MIN: Final = 32
"""The shortest secret that is accepted."""


def read_secret(path: Path, setting: str) -> str:
    """Return the secret in a file, without blanks around it.

    Raises:
        InvalidError: It cannot be read or is too short; names the setting.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
        readable_by_others = bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except (OSError, UnicodeError) as error:
        raise InvalidError(f"{setting} cannot be read: {error}") from error
    if len(secret) < CHARACTERS_MIN:
        raise InvalidError(
            f"{setting}: the secret in {path} is too short: write {CHARACTERS_MIN} random characters or more"
        )
    if readable_by_others:
        log.warning("others may read a secret; give its file mode 0600", extra={"file": str(path)})
    return secret
