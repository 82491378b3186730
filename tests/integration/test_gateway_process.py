"""The gateway as a process: how it starts, refuses to start, bears bad clients, and ends."""

import asyncio
import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.gateways import TOKEN, real_gateway, started
from tests.support.patience import PATIENCE_S


async def refusal(folder: Path, **settings: str) -> tuple[int, str]:
    """Return exit code and standard error of a gateway that cannot start."""
    process = await started(folder, settings)
    _, written = await process.communicate()
    return process.returncode or 0, written.decode()


async def test_taken_port_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, written = await refusal(tmp_path, listen=f"127.0.0.1:{port}")
    assert code == 2
    assert written == (
        f"cannot listen on 127.0.0.1:{port}: the port is taken; name another address in CALLSHEET_LISTEN\n"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": "8080"}, "CALLSHEET_LISTEN is not right:"),
        ({"miss_wait_s": "30"}, "CALLSHEET_MISS_WAIT_S is not right:"),
        ({"roots": "library"}, "CALLSHEET_ROOTS"),
        ({"admin_token_file": "/nonexistent"}, "CALLSHEET_ADMIN_TOKEN_FILE cannot be read:"),
        ({"join_token_file": "/nonexistent"}, "CALLSHEET_JOIN_TOKEN_FILE cannot be read:"),
    ],
    ids=str,
)
async def test_bad_setting_is_one_sentence_and_exit_code_2(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    code, written = await refusal(tmp_path, **settings)
    assert code == 2
    assert written.startswith(said)
    assert written.count("\n") == 1
    assert TOKEN not in written


async def test_gateway_serves_without_a_scheduler_and_ends_when_told(tmp_path: Path) -> None:
    async with real_gateway(tmp_path, scheduler_patience_s="0") as (process, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            away = await client.get("/api/media/jobs", headers={"Authorization": f"Bearer {TOKEN}"})
            assert away.status_code == 503
            assert "server" not in away.headers
        process.send_signal(signal.SIGTERM)
        _, written = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in written
    assert TOKEN.encode() not in written


async def answer_to(port: int, request: bytes) -> bytes:
    """Send *request* on a connection of its own, and return all that comes until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        with suppress(ConnectionError):
            await writer.drain()
            return await reader.read()
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_bad_clients_are_cut_off_and_harm_no_other(tmp_path: Path) -> None:
    limits = {
        "head_deadline_s": "0.5",
        "head_bytes_max": "2048",
        "request_deadline_s": "1",
        "miss_wait_s": "0.5",
    }
    head = (
        f"POST /api/media/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{"
    )
    cookie = b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 3000
    async with real_gateway(tmp_path, **limits) as (process, port), asyncio.timeout(PATIENCE_S):
        silent, slow, half, large, noise = await asyncio.gather(
            *(
                answer_to(port, sent)
                for sent in (b"", b"GET /healthz HT", head.encode(), cookie, b"\x16\x03\r\n\r\n")
            )
        )
        assert (silent, slow) == (b"", b"")
        assert half.startswith(b"HTTP/1.1 503")
        assert b"the request took longer than 1 s" in half
        assert large.startswith(b"HTTP/1.1 400")
        assert noise.startswith(b"HTTP/1.1 400")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert (await client.get("/healthz")).status_code == 200
        assert process.returncode is None
