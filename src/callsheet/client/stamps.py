"""Instants as messages have them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def stamp_of(at: datetime | None) -> Timestamp | None:
    """Return an instant for a message, None for none; one without a time zone is in UTC."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
