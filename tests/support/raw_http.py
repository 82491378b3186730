"""Requests as bytes that a hostile client would send, and what comes back."""

import json
import socket
import string
from functools import cache
from typing import Final

from hypothesis import strategies as st

from tests.support.access import endpoints
from tests.support.gateways import TOKEN
from tests.support.patience import PATIENCE_S

ENDLESS: Final = ("/events", "/log")
"""Ends of paths whose answers may go on."""
TEXTS: Final = (
    "%00",
    "%ff",
    "%ed%a0%80",
    "%c0%ae%c0%ae",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252f",
    "..%5c..%5c",
    "%0d%0aSet-Cookie:%20a=b",
    "9" * 400,
    "9" * 5000,
    "-1",
    "1e999",
    "NaN",
    "%F0%9F%8E%AC",
    "a" * 5000,
    "019aa1f7-6f00-7000-8000-000000000001",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-12:00",
    "'%3bDROP%20TABLE%20job_live--",
    "*",
)
"""What stands for parameters of paths and queries."""
JSON_TEXTS: Final = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 400,
    b"9" * 5000,
    b"1.5",
    b"true",
    b"null",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b'"\\u0000"',
    b'"0001-01-01T00:00:00+14:00"',
    b'"9999-12-31T23:59:59-12:00"',
    b'"\xff\xfe"',
    b'"' + b"a" * 5000 + b'"',
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b"[" * 100_000,
    b'{"\\ud800": 1}',
    b'"scan"',
    b'"019aa1f7-6f00-7000-8000-000000000001"',
)
"""What stands for values of a body."""
KEYS: Final = (
    "type",
    "params",
    "priority",
    "runAt",
    "id",
    "dependsOn",
    "uniqueKey",
    "collection",
    "maxRetries",
    "jobs",
    "action",
    "ids",
    "filter",
    "name",
    "cron",
    "timeZone",
    "jitterS",
    "job",
    "role",
    "expiresAt",
    "scope",
    "hostLimit",
    "graceS",
    "slug",
    "title",
    "path",
    "token",
    "videoId",
)
HEADERS: Final = (
    b"Range: bytes=" + b"9" * 5000 + b"-",
    b'If-None-Match: "\xff", *, W/"',
    b"If-Modified-Since: Thu, 99 Foo 99999 99:99:99 GMT",
    b"Last-Event-ID: " + b"9" * 99,
    b"Cookie: callsheet_session=\xff\xfe.\xff; =;;",
    b"Cookie: " + b"a=b;" * 4000,
    b"Authorization: Basic Og==",
    b"Authorization: Bearer a.b.c",
    b"X-Forwarded-For: " + b"1," * 2000,
    b"X-Forwarded-Host: [",
    b"Host: [",
    b"Host: a?b#c/d",
    b"Host: \xb2\xbc",
    b"Content-Type: text/plain",
    b"Content-Type: application/json; charset=\xff",
    b"Content-Type: multipart/form-data",
    b"Content-Type: application/offset+octet-stream",
    b"Content-Encoding: gzip",
    b"Accept: \xff/\xff;q=NaN",
    b"Accept-Encoding: " + b"gzip," * 1000,
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding : chunked",
    b"Content-Length: 5, 6",
    b"Content-Length: -1",
    b"Content-Length: +5",
    b"Content-Length: 0x10",
    b"Content-Length: " + b"9" * 30,
    b" folded: line",
    b"Name\x00: value",
    b"Name: a\rb",
    b"Name: " + b"a" * 40_000,
    b"Tus-Resumable: 1.0.0\r\nUpload-Length: " + b"9" * 5000,
    b"Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: filename Li4vLi4vZXRj",
    b"Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: \xff,,,= ",
    b"Tus-Resumable: 1.0.0\r\nUpload-Offset: -1\r\nUpload-Checksum: sha1 \xff",
)
"""Lines of a head, each at least odd."""


@cache
def _known() -> list[tuple[str, str]]:
    """Return what ends, and does not answer 503 in health."""
    return sorted(
        (method, path)
        for method, path in endpoints()
        if not path.endswith(ENDLESS) and "worker-health" not in path
    )


@st.composite
def targets(draw: st.DrawFn) -> tuple[str, str]:
    """A method, and the path and query of an endpoint."""
    method, path = draw(st.sampled_from(_known()))
    while "{" in path:
        head, _, rest = path.partition("{")
        path = head + draw(st.sampled_from(TEXTS)) + rest.partition("}")[2]
    names = [
        "q",
        "cursor",
        "limit",
        "page",
        "type",
        "status",
        "parentId",
        "since",
        "file_path",
        "tag",
        "minDuration",
    ]
    asked = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(TEXTS)), max_size=2))
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(["TRACE", "CONNECT", "BREW", "OPTIONS", "get", "PUT"]))
    return method, path + ("?" + "&".join(f"{name}={text}" for name, text in asked) if asked else "")


def values() -> st.SearchStrategy[bytes]:
    """Texts of JSON, good and bad."""
    leaf = st.sampled_from(JSON_TEXTS) | st.text(string.printable, max_size=9).map(
        lambda one: json.dumps(one).encode()
    )
    return st.recursive(leaf, lambda inner: objects(inner) | arrays(inner), max_leaves=8)


def objects(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Objects of keys that some endpoint knows."""
    pairs = st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=4)
    return pairs.map(
        lambda found: b"{" + b",".join(b'"%s":%s' % (key.encode(), value) for key, value in found) + b"}"
    )


def arrays(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Lists of a few."""
    return st.lists(inner, max_size=3).map(lambda found: b"[" + b",".join(found) + b"]")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request with anything in it that is odd; its framing is right but for odd headers."""
    method, target = draw(targets())
    body = draw(objects(values()) | values() | st.binary(max_size=20))
    odd = draw(st.lists(st.sampled_from(HEADERS), max_size=2))
    said = b"\r\n".join(odd).lower()
    lines = [f"{method} {target} HTTP/1.1".encode(), *odd]
    usual = {
        b"host": b"gateway",
        b"authorization": f"Bearer {TOKEN}".encode(),
        b"content-type": b"application/json",
        b"connection": b"close",
    }
    lines += [name + b": " + value for name, value in usual.items() if name + b":" not in said]
    if draw(st.booleans()):
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif b"content-length" not in said:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def exchanged(port: int, request: bytes, *, cut: bool = False) -> bytes:
    """Send *request* and return all that comes until the gateway closes the connection.

    Args:
        port: Of the gateway.
        request: What to send.
        cut: Whether to end our side of the connection behind it.

    Raises:
        TimeoutError: It is still open after `PATIENCE_S`.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(PATIENCE_S)
        try:
            connection.sendall(request)
            if cut:
                connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                received += more
        except ConnectionError:  # it had read enough
            pass
    return received


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of the answers on a connection, without the interim ones."""
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
    return [status for status in found if status >= 200]
