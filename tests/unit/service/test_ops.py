"""Probes and metrics answer over plain HTTP, whatever the service does."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from callsheet.errors import UnavailableError
from callsheet.service.ops import CONNECTIONS_MAX, REQUEST_BYTES_MAX, OpsServer


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def fault() -> bool:
    raise RuntimeError("the database is gone")


@asynccontextmanager
async def serving(ready: Callable[[], Awaitable[bool]]) -> AsyncGenerator[int]:
    server = OpsServer(ready)
    yield await server.start("127.0.0.1", 0)
    await server.stop()


async def said(port: int, request: str) -> tuple[str, str]:
    """Return the head and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{request} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
    return head, body


@pytest.mark.parametrize(
    ("ready", "request_line", "status"),
    [
        (no, "GET /livez", 200),
        (yes, "GET /readyz", 200),
        (yes, "GET /readyz?verbose=1", 200),
        (no, "GET /readyz", 503),
        (fault, "GET /readyz", 503),
        (yes, "GET /", 404),
        (yes, "POST /livez", 405),
    ],
)
async def test_each_question_has_its_status(
    ready: Callable[[], Awaitable[bool]], request_line: str, status: int
) -> None:
    async with serving(ready) as port:
        head, body = await said(port, request_line)

    assert head.startswith(f"HTTP/1.1 {status} ")
    assert f"Content-Length: {len(body)}" in head
    assert "gone" not in body


async def test_metrics_are_in_the_form_of_prometheus() -> None:
    async with serving(no) as port:
        head, body = await said(port, "GET /metrics")

    assert "text/plain; version=" in head
    assert "process_start_time_seconds " in body


async def test_head_has_no_body() -> None:
    async with serving(yes) as port:
        head, body = await said(port, "HEAD /livez")

    assert head.startswith("HTTP/1.1 200 ")
    assert body == ""


async def test_an_endless_request_is_cut_off() -> None:
    async with serving(yes) as port:
        head, body = await said(port, "GET /" + "x" * REQUEST_BYTES_MAX * 4)
        after, _ = await said(port, "GET /livez")

    assert (head, body) == ("", "")
    assert after.startswith("HTTP/1.1 200 ")


async def test_connections_that_say_nothing_do_not_pile_up() -> None:
    async with serving(yes) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert await reader.read() == b""
        for one in (writer, *(writer for _, writer in silent)):
            one.close()


async def test_a_taken_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UnavailableError, match="CALLSHEET_OPS_PORT"):
            await OpsServer(yes).start("127.0.0.1", taken.getsockname()[1])
