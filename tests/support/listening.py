"""Server-sent events as a program reads them, from a gateway that listens on a real port."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import httpx
from callsheet_gateway.app import make_app
from callsheet_gateway.assembly import assembled
from callsheet_gateway.server import listen, serve
from callsheet_gateway.settings import GatewaySettings
from pydantic import TypeAdapter

from callsheet.acting import RECORDED
from callsheet.client import Client, Patience
from tests.support.gateways import TOKEN

OBJECT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event."""

    name: str
    id: str
    text: str

    @property
    def data(self) -> dict[str, object]:
        """What its text says, as JSON."""
        return OBJECT.validate_python(json.loads(self.text))


class Listener:
    """An open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self.comments = 0
        self._lines: AsyncIterator[str] = aiter(answer.aiter_lines())

    async def next(self) -> Heard:
        """Return the next event; the test's time limit ends a vain wait.

        Raises:
            EOFError: The stream has ended.
        """
        name, data = "message", list[str]()
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if not line and data:
                return Heard(name=name, id=self.last_id, text="\n".join(data))
            if line.startswith(":"):
                self.comments += 1
            elif field == "event":
                name = value
            elif field == "id":
                self.last_id = value
            elif field == "data" or line == "data:":
                data.append(value)
        raise EOFError

    async def until(self, name: str, **facts: object) -> Heard:
        """Return the next event of this name whose data has these facts."""
        while True:
            heard = await self.next()
            if heard.name == name and (not facts or facts.items() <= heard.data.items()):
                return heard

    async def begun(self) -> "Listener":
        """Wait until the stream has said where it begins."""
        async for line in self._lines:
            if line.startswith("id: "):
                self.last_id = line.removeprefix("id: ")
            if not line:
                return self
        raise EOFError


@asynccontextmanager
async def listening(
    rest: httpx.AsyncClient, path: str, *, after: str = "", **asked: str
) -> AsyncGenerator[Listener]:
    """Open a stream, after the event with this id where one is given."""
    headers = {"Last-Event-ID": after} if after else {}
    async with rest.stream("GET", path, headers=headers, params=asked) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Listener(answer)


class Served(NamedTuple):
    """A gateway that listens."""

    rest: httpx.AsyncClient
    """Has the administrator's token."""
    stop: asyncio.Event


@asynccontextmanager
async def served(scheduler: str, settings: GatewaySettings) -> AsyncGenerator[Served]:
    """Run a gateway on a port of its own."""
    stop = asyncio.Event()
    own = settings.model_copy(update={"listen": "127.0.0.1:0"})
    patience = Patience(total_s=30.0, try_s=30.0)
    with listen(own) as listener:
        port = int(listener.getsockname()[1])
        async with (
            Client(scheduler, patience=patience, said=RECORDED) as client,
            assembled(own, client, TOKEN) as state,
        ):
            app = make_app(state)
            serving = asyncio.create_task(serve(app, own, listener, stop, state.streams))
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=httpx.Timeout(60.0, pool=None),
                limits=limits,
            ) as rest:
                yield Served(rest, stop)
            stop.set()
            await serving
