"""What every request and answer passes: limits, headers, HEAD, the count."""

from collections.abc import AsyncIterator

import httpx
import pytest
from callsheet_gateway.access.peers import Proxies, parse_networks
from callsheet_gateway.border import PIECE_TYPE, ROUTE_KEY, SECURITY_HEADERS, Border
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


async def test_piece_of_an_upload_may_be_longer_than_other_bodies() -> None:
    border = Border(echo, body_bytes_max=LIMIT, piece_bytes_max=LIMIT * 2, clock=SystemClock())
    transport = httpx.ASGITransport(app=border, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        long, piece = b"x" * LIMIT * 2, {"Content-Type": PIECE_TYPE}
        for path in ("/api/media/upload", "/api/media/upload/some"):
            assert (await client.post(path, content=long, headers=piece)).text == f"POST {LIMIT * 2}"
            assert (await client.post(path, content=long + b"x", headers=piece)).status_code == 413
            assert (await client.put(path, content=long, headers=piece)).status_code == 413
            for other in ("application/json", f"{PIECE_TYPE}; json", ""):
                answer = await client.post(path, content=long, headers={"Content-Type": other})
                assert answer.status_code == 413
        assert (await client.post("/api/media/uploads", content=long, headers=piece)).status_code == 413


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


async def test_browsers_that_came_by_https_are_told_to_stay_there() -> None:
    border = Border(
        echo, body_bytes_max=LIMIT, clock=SystemClock(), proxies=Proxies(parse_networks("127.0.0.1"))
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=border), base_url="http://gateway"
    ) as client:
        plain = await client.get("/")
        secure = await client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in plain.headers
    assert secure.headers["strict-transport-security"].startswith("max-age=")


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
