"""Page tokens: where a page ended, opaque to those who carry them."""

import base64
import json
from typing import Final

from callsheet.errors import InvalidError

#: Characters of the longest token: a root and a path of the greatest length, escaped.
TOKEN_MAX: Final = 20_000


def encode_place(*parts: str) -> str:
    """Return a token for the place that *parts* name."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_place(token: str, *, parts: int) -> list[str]:
    """Return the parts of a token.

    Raises:
        InvalidError: It is none of ours.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        value: object = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place = [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
        whole = len(token) <= TOKEN_MAX and len(place) == parts and b"\0" not in "".join(place).encode()
    except (ValueError, RecursionError):
        whole, place = False, []
    if not whole:
        raise InvalidError("is not a token of this list; begin again without it", field="page_token")
    return place
