"""How a worker and its decode children speak: length, JSON, and what goes with it.

A message is four bytes of length, most significant first, and a JSON object. A request's descriptors
travel with its first bytes (SCM_RIGHTS); a reply's blobs follow it, as long as it says.
"""

import socket
from collections.abc import Sequence
from typing import Final

from callsheet.worker.sandbox.work import DESCRIPTOR_LIMIT, REQUEST_LIMIT, Reply, Request, codec

LENGTH_BYTES: Final = 4


def framed(content: bytes) -> bytes:
    """Return a message's bytes."""
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def receive_request(channel: socket.socket) -> tuple[Request, list[int]] | None:
    """Wait for the next request; None when the worker is gone. The descriptors are the caller's to close.

    Raises:
        ValueError: What came is no request.
    """
    first, descriptors, _, _ = socket.recv_fds(channel, REQUEST_LIMIT, DESCRIPTOR_LIMIT)
    if not first:
        return None
    while len(first) < LENGTH_BYTES:
        first += _some(channel, LENGTH_BYTES - len(first))
    size = int.from_bytes(first[:LENGTH_BYTES], "big")
    content = first[LENGTH_BYTES:]
    while len(content) < size:
        content += _some(channel, size - len(content))
    return codec(Request).validate_json(content), descriptors


def send_reply(channel: socket.socket, reply: Reply, blobs: Sequence[bytes] = ()) -> None:
    """Send a reply and what belongs to it."""
    channel.sendall(framed(codec(Reply).dump_json(reply)))
    for blob in blobs:
        channel.sendall(blob)


def _some(channel: socket.socket, count: int) -> bytes:
    part = channel.recv(count)
    if not part:
        raise ValueError("the request ends in the middle")
    return part
