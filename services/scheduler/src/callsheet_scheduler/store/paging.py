"""Page tokens: where a page ended, opaque to those who carry them."""

import base64
import json

from callsheet.errors import InvalidError


def encode_place(*parts: str) -> str:
    """Return a token for the place that *parts* name."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_place(token: str, *, parts: int) -> list[str]:
    """Return the parts of a token.

    Raises:
        InvalidError: It is none of ours.
    """
    try:
        value: object = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        value = None
    if not isinstance(value, list) or len(value) != parts or not all(isinstance(p, str) for p in value):
        message = "is not a token of this list; begin again without it"
        raise InvalidError(message, field="page_token")
    return [str(part) for part in value]
