"""Decides which part of a representation a request gets (RFC 9110, sections 13 and 14)."""

import re
from dataclasses import dataclass
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*")
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes *first* to *last*, both included, counted from 0."""

    first: int
    last: int


class UnsatisfiableError(Exception):
    """The range begins behind the end."""


def is_known(if_none_match: str, etag: str) -> bool:
    """Say whether a client has the representation with *etag*; weak comparison.

    Args:
        if_none_match: The header's value; empty for none.
        etag: With its quotes.
    """
    return if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_none_match)


def wanted_part(range_header: str, if_range: str, etag: str, size_bytes: int) -> Part | None:
    """Return the part that is asked for; None for the whole.

    The whole also answers what is no range of bytes, several ranges, and a condition that does not hold;
    all of that RFC 9110 allows.

    Args:
        range_header: The value of Range; empty for none.
        if_range: The value of If-Range; empty for none.
        etag: Of the present representation, with its quotes.
        size_bytes: Of the present representation.

    Raises:
        UnsatisfiableError: The part lies behind the end.
    """
    found = _ONE_RANGE.fullmatch(range_header)
    if found is None or (if_range and if_range.strip() != etag):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return _suffix(int(suffix), size_bytes)
    begin = int(first)
    end = min(int(last), size_bytes - 1) if last else size_bytes - 1
    if last and int(last) < begin:
        return None
    if begin >= size_bytes:
        raise UnsatisfiableError
    return Part(first=begin, last=end)


def _suffix(count: int, size_bytes: int) -> Part:
    if not count or not size_bytes:
        raise UnsatisfiableError
    return Part(first=max(0, size_bytes - count), last=size_bytes - 1)
