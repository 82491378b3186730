"""The text of server-sent events, as WHATWG HTML, section 9.2, has it."""

import re
from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b": still here\n\n"
"""A comment: no listener sees it, and a connection that is gone is found to be so."""
RETRY_MS: Final = 2000
"""After how many milliseconds a browser comes again."""

_LINE_END: Final = re.compile("\r\n|\r|\n")


def event(data: str, *, name: str = "", event_id: str = "") -> bytes:
    """Return one event.

    Args:
        data: Any text; each of the three line ends arrives as a line feed.
        name: The event's type; empty for ``message``.
        event_id: What a client that comes again sends as Last-Event-ID; empty to leave that as it is.
    """
    lines = [f"event: {name}"] if name else []
    if event_id:
        lines.append(f"id: {event_id}")
    lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


def opening(event_id: str = "") -> bytes:
    """Return what a stream begins with: when to come again, and from which id; no listener sees it."""
    named = f"id: {event_id}\n" if event_id else ""
    return f"retry: {RETRY_MS}\n{named}\n".encode()
