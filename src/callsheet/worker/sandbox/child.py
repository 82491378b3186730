"""A decode child: imports what it needs, gives up its rights, then answers requests until told to go.

Started as ``python -I -m callsheet.worker.sandbox.child FD PARENT SETTINGS`` by the pool; FD is its end of a
socket pair, SETTINGS a JSON object of `ChildSettings`.
"""

import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from callsheet.errors import BadInputError
from callsheet.worker.sandbox import rights, wire
from callsheet.worker.sandbox.rights import Rights, SandboxLimits
from callsheet.worker.sandbox.work import Answer, Reply, Request, codec

Function = Callable[[object, Sequence[int]], Answer[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSettings:
    """What the pool tells a child at its start."""

    limits: SandboxLimits
    """What it may use up."""
    rights: Rights
    """What stays open to it."""
    functions: tuple[str, ...]
    """What to import before rights are given up."""
    background: bool = False
    """Whether it yields to everything else on the machine."""


def main() -> None:
    """Serve requests until the worker closes its end."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    rights.die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides what an interrupt means
    settings = codec(ChildSettings).validate_json(sys.argv[3])
    for name in settings.functions:
        _function(name)
    gc.freeze()
    if settings.background:
        rights.yield_to_others()
    words = rights.confine(settings.limits, settings.rights)
    wire.send_reply(channel, Reply(strength=tuple(words)))
    while True:
        received = wire.receive_request(channel)
        if received is None:
            return
        request, descriptors = received
        rights.allow_cpu(request.cpu_s)
        try:
            _serve(channel, request, descriptors)
        finally:
            for fd in descriptors:
                os.close(fd)


def _serve(channel: socket.socket, request: Request, descriptors: Sequence[int]) -> None:
    try:
        answer = _call(request, descriptors)
    except MemoryError:
        wire.send_reply(
            channel,
            Reply(failure=BadInputError.kind, reason="decoding it needs more memory than a child may use"),
        )
    except Exception as error:  # noqa: BLE001 -- the border of the process: all ends as a reply
        wire.send_reply(channel, Reply(failure="BUG", reason=f"{type(error).__name__}: {str(error)[:500]}"))
    else:
        value, blobs = answer
        sizes = tuple(len(blob) for blob in blobs)
        wire.send_reply(channel, Reply(value_json=value, blob_sizes=sizes), blobs)


def _call(request: Request, descriptors: Sequence[int]) -> tuple[str, Sequence[bytes]]:
    function = _function(request.function)
    arguments_type = cast("type[object]", next(iter(_hints(function))))
    arguments = codec(arguments_type).validate_json(request.arguments_json)
    answer = function(arguments, descriptors)
    return codec(type(answer.value)).dump_json(answer.value).decode(), answer.blobs


def _function(name: str) -> Function:
    module, _, attribute = name.partition(":")
    return cast("Function", getattr(importlib.import_module(module), attribute))


def _hints(function: Function) -> list[object]:
    return list(function.__annotations__.values())


if __name__ == "__main__":
    main()
