"""Pages: where one ended, in a token opaque to those who carry it, and how much goes into one."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from callsheet.errors import InvalidError

#: Characters of the longest token: a root and a path of the greatest length, escaped.
TOKEN_MAX: Final = 20_000

#: Bytes of the texts in one page, which has to fit a message of 4 MiB.
PAGE_BYTES_MAX: Final = 3 * 1024 * 1024

RowT = TypeVar("RowT")


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
        listed = cast("list[object]", value) if isinstance(value, list) else []
        place = [part for part in listed if isinstance(part, str)]
        whole = len(token) <= TOKEN_MAX and len(place) == parts and b"\0" not in "".join(place).encode()
    except (ValueError, RecursionError):
        whole, place = False, []
    if not whole:
        raise InvalidError("is not a token of this list; begin again without it", field="page_token")
    return place


def fitting(rows: Sequence[RowT], size_of: Callable[[RowT], int]) -> Sequence[RowT]:
    """Return the first rows that fit a page by the bytes of each, and at least one."""
    total = 0
    for count, row in enumerate(rows):
        total += size_of(row)
        if total > PAGE_BYTES_MAX:
            return rows[: max(1, count)]
    return rows
