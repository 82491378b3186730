"""Decides which part of a representation a request gets (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

_ONE_RANGE: Final = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*")
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes *first* to *last*, both included, counted from 0."""

    first: int
    last: int


class Verdict(Enum):
    """What the conditions of a request come to."""

    SEND = auto()
    KNOWN = auto()
    """The client has it: 304."""
    REFUSED = auto()
    """It asks for another version: 412."""


class UnsatisfiableError(Exception):
    """The range begins behind the end of so many bytes."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes} bytes, and the range begins behind its end")
        self.size_bytes = size_bytes


def is_known(if_none_match: str, etag: str) -> bool:
    """Say whether a client has the representation with *etag*; weak comparison.

    Args:
        if_none_match: The header's value; empty for none.
        etag: With its quotes.
    """
    return if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(if_none_match)


def verdict(headers: Mapping[str, str], etag: str, modified_s: int) -> Verdict:
    """Weigh the conditions of a GET or HEAD in the order of RFC 9110, section 13.2.2; If-Range is no such.

    Args:
        headers: Of the request, by names in lower case. A date that is none counts as not sent.
        etag: Of the present representation, with its quotes; strong.
        modified_s: When it was last changed, in whole seconds since 1970.
    """
    if_match, unmodified = headers.get("if-match"), _instant_s(headers.get("if-unmodified-since"))
    if if_match is not None:
        strong = _ENTITY_TAG.sub(lambda tag: "" if tag[0].startswith("W/") else tag[0], if_match)
        if not is_known(strong, etag):
            return Verdict.REFUSED
    elif unmodified is not None and modified_s > unmodified:
        return Verdict.REFUSED
    if_none_match, since = headers.get("if-none-match"), _instant_s(headers.get("if-modified-since"))
    if if_none_match is not None:
        return Verdict.KNOWN if is_known(if_none_match, etag) else Verdict.SEND
    return Verdict.KNOWN if since is not None and modified_s <= since else Verdict.SEND


def _instant_s(date: str | None) -> int | None:
    try:
        stamp = parsedate_to_datetime(date) if date else None
        return None if stamp is None else int(stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None


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
        raise UnsatisfiableError(size_bytes)
    return Part(first=begin, last=end)


def _suffix(count: int, size_bytes: int) -> Part:
    if not count or not size_bytes:
        raise UnsatisfiableError(size_bytes)
    return Part(first=max(0, size_bytes - count), last=size_bytes - 1)
