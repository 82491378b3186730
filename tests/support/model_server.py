"""A web server on loopback that gives files as a test wants them: whole, in parts, cut off, or led on."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override


@dataclass(slots=True)
class Served:
    """What the server gives, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By path."""
    cut_at: int | None = None
    """The connection breaks after so many bytes of a body."""
    ranges: bool = True
    """Whether it can begin in the middle."""
    leads_to: str = ""
    """Where it sends everybody on to; empty for nowhere."""
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Each path, and the range of it."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(files: dict[str, bytes]) -> Generator[Served]:
    """Serve files until the end of the ``with``."""
    served = Served(files=files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.asked.append((self.path, asked))
            content = served.files.get(self.path)
            if served.leads_to:
                self.send_response(302)
                self.send_header("Location", served.leads_to)
                self.end_headers()
            elif content is None:
                self.send_error(404)
            else:
                self._give(content, int(asked[6:-1]) if asked and served.ranges else 0)

        def _give(self, content: bytes, begin: int) -> None:
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = len(content) if served.cut_at is None else begin + served.cut_at
            self.wfile.write(content[begin:end])
            self.close_connection = True

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
