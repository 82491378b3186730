"""Credentials of every kind for a gateway, and a walk over its endpoints."""

import asyncio
from collections.abc import Iterator, MutableMapping

import httpx
import jwt
from callsheet_gateway.app import described_app
from pydantic import TypeAdapter

from callsheet.service.clock import SystemClock
from tests.support.gateways import Rest
from tests.support.patience import PATIENCE_S

Json = dict[str, object]
OBJECT: TypeAdapter[Json] = TypeAdapter(Json)
OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])
SECRET = "j" * 40
"""What `own_jwt` signs with."""
METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}


def bearer(token: object) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


async def made(rest: httpx.AsyncClient, role: str, name: str = "site", **more: object) -> Json:
    """Make an API key."""
    answer = await rest.post("/api/keys", json={"name": name, "role": role} | more)
    assert answer.status_code == 201, answer.text
    return OBJECT.validate_python(answer.json())


def endpoints() -> Iterator[tuple[str, str]]:
    """Yield method and path of what the OpenAPI document describes."""
    for path, methods in OBJECT.validate_python(described_app().openapi()["paths"]).items():
        for method in OBJECT.validate_python(methods).keys() & METHODS:
            yield method.upper(), path


def own_jwt(**claims: object) -> str:
    """Return a JWT of an administrator; *claims* replace its own."""
    now = SystemClock().now().timestamp()
    usual = {"aud": "callsheet", "sub": "robot", "exp": now + 600, "role": "SUPER_ADMIN"}
    return jwt.encode(usual | claims, SECRET, algorithm="HS256")


async def status_of(rest: Rest, method: str, path: str, token: str | None) -> int:
    """Return the status of an answer as soon as it begins: some never end."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    authorization = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "server": ("gateway", 80),
        "client": ("127.0.0.1", 1234),
        "headers": [(b"host", b"gateway"), (b"content-type", b"application/json"), *authorization],
    }
    asked = False

    async def receive() -> MutableMapping[str, object]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"[]", "more_body": False}

    async def send(message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.start" and not started.done():
            started.set_result(int(str(message["status"])))

    serving = asyncio.ensure_future(rest.app(scope, receive, send))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await started
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def shown(rest: httpx.AsyncClient, token: object) -> httpx.Response:
    """Ask who a token is for."""
    return await rest.get("/api/session", headers=bearer(token))


async def until_refused(rest: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Wait until a credential is refused; the test's time limit ends a vain wait."""
    while (await rest.get("/api/session", headers=headers)).status_code != 401:  # noqa: ASYNC110 -- nothing sets an event
        await asyncio.sleep(0.02)


async def on_record(rest: httpx.AsyncClient, target: str) -> list[Json]:
    """Return the entries about a target, newest first, once there are some."""
    while True:
        answer = await rest.get("/api/audit", params={"limit": 200})
        entries = OBJECTS.validate_python(OBJECT.validate_python(answer.json())["data"])
        if found := [entry for entry in entries if str(entry["target"]).startswith(target)]:
            return found
        await asyncio.sleep(0.02)
