"""Instants between the wire, Python and text."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def instant(stamp: Timestamp) -> datetime | None:
    """Return the instant, aware, in UTC; None where it is unset."""
    return stamp.ToDatetime(UTC) if stamp.seconds or stamp.nanos else None


def rfc3339(stamp: Timestamp) -> str | None:
    """Return the instant to the millisecond with ``Z``; None where it is unset."""
    at = instant(stamp)
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(start: Timestamp, end: Timestamp) -> float | None:
    """Return the seconds from *start* to *end*; None where one is unset."""
    started_at, ended_at = instant(start), instant(end)
    return None if started_at is None or ended_at is None else (ended_at - started_at).total_seconds()
