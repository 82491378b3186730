"""A stand-in for an Immich server: its calls about queues in both generations over HTTP, with faults."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from callsheet_immich_agent.policy import QueueSeen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.immich_queues import SimulatedImmich

KEY = "fR7s-an-immich-key-2bQ9"
DAEMON_KEY = frozenset({"job.read", "job.create"})
EVERYTHING = DAEMON_KEY | {"queue.read", "queue.update"}


@dataclass(slots=True)
class StandIn:
    """What it simulates, and what it does wrong."""

    immich: SimulatedImmich
    jobs_api: bool = True
    queues_api: bool = True
    version: tuple[int, ...] = (3, 2, 2)
    """Empty for a server of another kind."""
    version_at: str = "/api/server/version"
    permissions: frozenset[str] = EVERYTHING
    administrator: bool = True
    per_look_s: float = 0.0
    """Virtual seconds that pass with every list."""
    answers: list[Response] = field(default_factory=list[Response])
    """Given to the next requests in place of what they ask for."""
    refuses: list[Response] = field(default_factory=list[Response])
    """Given to the next changes in place of what they ask for."""
    silent: asyncio.Event | None = None
    """Once set it answers again."""
    silent_to: frozenset[str] = frozenset({"GET", "PUT"})
    """The methods that it does not answer meanwhile."""
    late: bool = False
    """While it is silent it does what it is asked, only does not say so."""
    asked: list[str] = field(default_factory=list[str])
    """Every request: method and path."""
    commands: list[str] = field(default_factory=list[str])
    """Every pause and resume that took effect, such as ``pause ocr``."""
    keys: set[str | None] = field(default_factory=set[str | None])
    address: str = ""

    def counts(self, queue: QueueSeen) -> dict[str, int]:
        """Return the figures of a queue as both generations have them."""
        return {
            "active": queue.active,
            "completed": self.immich.queues[queue.name].completed,
            "failed": queue.failed,
            "delayed": queue.delayed,
            "waiting": queue.waiting,
            "paused": queue.held,
        }

    def shown(self, queue: QueueSeen, *, new: bool) -> dict[str, object]:
        """Return a queue as a generation shows it."""
        if new:
            return {"name": queue.name, "isPaused": queue.paused, "statistics": self.counts(queue)}
        status = {"isActive": queue.active > 0, "isPaused": queue.paused}
        return {"jobCounts": self.counts(queue), "queueStatus": status}

    async def list(self, _: Request, *, new: bool) -> Response:
        """Answer all queues."""
        self.immich.advance(self.per_look_s)
        seen = self.immich.seen()
        if new:
            return JSONResponse([self.shown(queue, new=True) for queue in seen])
        return JSONResponse({queue.name: self.shown(queue, new=False) for queue in seen})

    async def change(self, request: Request, *, new: bool) -> Response:
        """Pause or resume a queue, and answer it."""
        name, said = request.path_params["name"], await request.json()
        if name not in self.immich.queues:
            return refusal(404 if new else 400, "name must be one of the following values")
        pause = said["isPaused"] if new else {"pause": True, "resume": False}[said["command"]]
        (self.immich.pause if pause else self.immich.resume)(name)
        self.commands.append(f"{'pause' if pause else 'resume'} {name}")
        (queue,) = (queue for queue in self.immich.seen() if queue.name == name)
        return JSONResponse(self.shown(queue, new=new))

    async def tell_version(self, request: Request) -> Response:
        """Answer the version, to anybody."""
        if request.url.path != self.version_at:
            return refusal(404, f"Cannot GET {request.url.path}")
        return JSONResponse(dict(zip(("major", "minor", "patch"), self.version, strict=False)))

    def guarded(
        self, handle: Callable[..., Awaitable[Response]], permission: str, *, new: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return *handle* behind the faults and the check of the key."""

        async def answer(request: Request) -> Response:
            self.asked.append(f"{request.method} {request.url.path}")
            self.keys.add(request.headers.get("x-api-key"))
            if self.silent is not None and request.method in self.silent_to:
                if self.late:
                    await handle(request, new=new)
                await self.silent.wait()
            planned = self.refuses if request.method == "PUT" and self.refuses else self.answers
            if planned:
                return planned.pop(0)
            if not (self.queues_api if new else self.jobs_api):
                return refusal(404, f"Cannot {request.method} {request.url.path}")
            if request.headers.get("x-api-key") != KEY:
                return refusal(401, "Invalid API key")
            if permission not in self.permissions:
                return refusal(403, f"Missing required permission: {permission}")
            if not self.administrator:
                return refusal(403, "Forbidden")
            return await handle(request, new=new)

        return answer

    def app(self) -> Starlette:
        """Return the server's application."""
        return Starlette(
            routes=[
                Route("/api/server/version", self.tell_version),
                Route("/api/server-info/version", self.tell_version),
                Route("/api/jobs", self.guarded(self.list, "job.read", new=False)),
                Route(
                    "/api/jobs/{name}", self.guarded(self.change, "job.create", new=False), methods=["PUT"]
                ),
                Route("/api/queues", self.guarded(self.list, "queue.read", new=True)),
                Route(
                    "/api/queues/{name}",
                    self.guarded(self.change, "queue.update", new=True),
                    methods=["PUT"],
                ),
            ]
        )


def refusal(status: int, message: str) -> Response:
    """Return an error as Immich words it."""
    words = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
    content = {"message": message, "error": words.get(status, "Error"), "statusCode": status}
    return JSONResponse(content, status_code=status)


@asynccontextmanager
async def standing_in(
    immich: SimulatedImmich | None = None,
    certificate: tuple[Path, Path] | None = None,
    port: int = 0,
    host: str = "127.0.0.1",
) -> AsyncGenerator[StandIn]:
    """Run a server, by default on a free port of loopback; with a *certificate* and its key over TLS."""
    stand_in = StandIn(immich or SimulatedImmich())
    stand_in.immich.start()
    config = uvicorn.Config(stand_in.app(), host=host, port=port, log_config=None, lifespan="off", ws="none")
    config.timeout_graceful_shutdown = 1
    if certificate is not None:
        config.ssl_certfile, config.ssl_keyfile = map(str, certificate)
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        scheme = "https" if certificate else "http"
        stand_in.address = f"{scheme}://{host}:{listener.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield stand_in
        finally:
            if stand_in.silent is not None:
                stand_in.silent.set()
            server.should_exit = True
            await serving
