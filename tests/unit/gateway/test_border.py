"""What every request and answer passes: limits, headers, HEAD, the count."""

from collections.abc import AsyncIterator

import httpx
import pytest
from callsheet_gateway.border import ROUTE_KEY, SECURITY_HEADERS, Border
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from callsheet.service.clock import SystemClock

LIMIT = 1000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Say the method and the length of the body, as a route that exists; fail where the path asks for it."""
    scope[ROUTE_KEY] = "/healthz"
    request = Request(scope, receive)
    if request.url.path == "/fails":
        raise RuntimeError("a fault")
    body = await request.body()
    own = {"Content-Security-Policy": "default-src 'self'"} if request.url.path == "/own" else None
    await PlainTextResponse(f"{request.method} {len(body)}", headers=own)(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    border = Border(echo, body_bytes_max=LIMIT, clock=SystemClock())
    transport = httpx.ASGITransport(app=border, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def count(**labels: str) -> float:
    return REGISTRY.get_sample_value("callsheet_gateway_requests_total", labels) or 0.0


async def in_pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def test_body_up_to_the_limit_is_read(client: httpx.AsyncClient) -> None:
    assert (await client.post("/", content=b"x" * LIMIT)).text == f"POST {LIMIT}"
    assert (await client.post("/", content=in_pieces(400, 600))).text == f"POST {LIMIT}"


async def test_body_that_declares_too_much_is_refused_unread(client: httpx.AsyncClient) -> None:
    answer = await client.post("/", content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert "at most 1,000 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "٣"])
async def test_length_that_is_no_number_is_malformed(client: httpx.AsyncClient, length: str) -> None:
    answer = await client.post("/", headers=[(b"content-length", length.encode())])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/own"])
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    answers = [await client.get(path), await client.post(path, content=b"x" * 2000)]
    for answer in answers:
        for name in SECURITY_HEADERS:
            assert name in answer.headers


async def test_an_answer_may_set_its_own(client: httpx.AsyncClient) -> None:
    assert (await client.get("/own")).headers["content-security-policy"] == "default-src 'self'"


async def test_head_is_answered_as_get(client: httpx.AsyncClient) -> None:
    before = count(method="HEAD", route="/healthz", status="200")
    assert (await client.head("/")).status_code == 200
    assert count(method="HEAD", route="/healthz", status="200") == before + 1


async def test_requests_are_counted_by_route_and_status_and_unknown_methods_together(
    client: httpx.AsyncClient,
) -> None:
    before = count(method="OTHER", route="/healthz", status="200")
    for method in ("BREW", "PROPFIND", "brew"):
        await client.request(method, "/")
    assert count(method="OTHER", route="/healthz", status="200") == before + 3


async def test_fault_is_counted_as_500(client: httpx.AsyncClient) -> None:
    before = count(method="GET", route="/healthz", status="500")
    await client.get("/fails")
    assert count(method="GET", route="/healthz", status="500") == before + 1
