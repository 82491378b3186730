"""Several gateways behind one address serve as one: each connection may reach another of them."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from callsheet_gateway.access.entrance import CSRF_HEADER
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.ids import new_job_id
from tests.support.fresh_database import new_database
from tests.support.gateways import TOKEN
from tests.support.listening import Served, listening, served
from tests.support.real_scheduler import real_scheduler
from tests.support.rest import JOBS

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = "2199-01-01T00:00:00Z"


class Fleet(NamedTuple):
    """Two gateways, and the address before them."""

    gateways: Sequence[Served]
    url: str
    taken: list[int]
    """The gateway of each connection, in order."""

    def next(self) -> int:
        """Return the gateway of the next connection."""
        return len(self.taken) % len(self.gateways)

    @asynccontextmanager
    async def client(self, **headers: str) -> AsyncGenerator[httpx.AsyncClient]:
        """Give a client that keeps no connection."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, limits=limits, timeout=60.0
        ) as client:
            yield client


async def carry(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def balanced(ports: Sequence[int], taken: list[int]) -> AsyncGenerator[str]:
    """Listen, and lead each connection to the next of *ports*."""

    async def lead(reader: StreamReader, writer: StreamWriter) -> None:
        chosen = len(taken) % len(ports)
        taken.append(chosen)
        there, onward = await asyncio.open_connection("127.0.0.1", ports[chosen])
        await asyncio.gather(carry(reader, onward), carry(there, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    dsn = await new_database(database_server)
    folder: Path = tmp_path_factory.mktemp("scheduler")
    taken: list[int] = []
    async with (
        real_scheduler(dsn, folder) as scheduler,
        served(scheduler.address, GatewaySettings(key_fresh_s=0.2)) as first,
        served(scheduler.address, GatewaySettings(key_fresh_s=0.2)) as second,
        balanced([int(one.rest.base_url.port or 0) for one in (first, second)], taken) as url,
    ):
        yield Fleet((first, second), url, taken)


async def test_session_that_one_gateway_began_is_good_at_the_others(fleet: Fleet) -> None:
    begun = len(fleet.taken)
    async with fleet.client(Origin=fleet.url) as page:
        answer = await page.post("/api/session", json={"token": TOKEN})
        assert answer.status_code == 201, answer.text
        tokens = {(await page.get("/api/session")).json()["csrfToken"] for _ in range(4)}
        assert tokens == {answer.json()["csrfToken"]}
        page.headers[CSRF_HEADER] = tokens.pop()
        paused = [(await page.post(f"/api/queues/cpu/{verb}")).status_code for verb in ("pause", "resume")]
        assert paused == [200, 200]
    assert set(fleet.taken[begun:]) == {0, 1}


async def test_session_that_was_ended_is_over_at_every_gateway(fleet: Fleet) -> None:
    pages = [one.rest for one in fleet.gateways]
    signed = await pages[0].post("/api/session", json={"token": TOKEN})
    pages[0].cookies.clear()
    ending = {CSRF_HEADER: signed.json()["csrfToken"], "Origin": str(pages[0].base_url).rstrip("/")}
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    for page in pages:
        assert (await asked(page, "GET", cookie)).status_code == 200
    answer = await asked(pages[0], "DELETE", cookie | ending)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await asked(pages[0], "GET", cookie)).status_code == 401
    while (await asked(pages[1], "GET", cookie)).status_code != 401:  # noqa: ASYNC110 -- nothing sets an event
        await asyncio.sleep(0.02)


async def asked(page: httpx.AsyncClient, method: str, headers: dict[str, str]) -> httpx.Response:
    """Ask about the session as a page does that has a cookie and no token."""
    request = page.build_request(method, "/api/session", headers=headers)
    del request.headers["Authorization"]
    return await page.send(request)


async def test_creation_that_is_repeated_at_another_gateway_is_the_same_job(fleet: Fleet) -> None:
    new = {"id": new_job_id(), "type": "scan", "runAt": LATER}
    async with fleet.client(Authorization=f"Bearer {TOKEN}") as rest:
        answers = await asyncio.gather(*(rest.post(JOBS, json=new) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        assert {answer.json()["id"] for answer in answers} == {new["id"]}
        pages = [(await rest.get(JOBS)).json() for _ in range(2)]
    assert pages[0] == pages[1]


async def test_pages_of_a_list_go_on_by_cursor_at_another_gateway(fleet: Fleet) -> None:
    async with fleet.client(Authorization=f"Bearer {TOKEN}") as rest:
        made = [(await rest.post(JOBS, json={"type": "scan", "runAt": LATER})).json()["id"] for _ in range(4)]
        found: list[str] = []
        cursor = ""
        for _ in made:
            page = (await rest.get(JOBS, params={"limit": 1, "cursor": cursor})).json()
            found.append(page["data"][0]["id"])
            cursor = page["pagination"]["nextCursor"]
    assert found == made[::-1]


async def test_listener_that_comes_back_at_another_gateway_is_told_to_ask_again(fleet: Fleet) -> None:
    events = f"{JOBS}/events"
    async with fleet.client(Authorization=f"Bearer {TOKEN}") as rest:
        heard_at = fleet.next()
        async with listening(rest, events) as listener:
            await listener.begun()
            first = (await rest.post(JOBS, json={"type": "scan", "runAt": LATER})).json()["id"]
            heard = await listener.until("job", id=first)
        if fleet.next() == heard_at:
            await rest.get("/healthz")
        async with listening(rest, events, after=heard.id) as listener:
            assert (await listener.next()).name == "reset"
            second = (await rest.post(JOBS, json={"type": "scan", "runAt": LATER})).json()["id"]
            assert (await listener.until("job", id=second)).data["status"] == "pending"
