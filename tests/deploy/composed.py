"""The compose file with all profiles, brought up by podman-compose, and what can be asked of it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel

from tests.deploy.manifests import ROOT

PROJECT: Final = "callsheet-profiles"
FILES: Final = ("docker-compose.yml", "tests/deploy/profiles.yml")
PROFILES: Final = ("s3", "gpu", "immich", "observability")
SERVICES: Final = (
    "renewal",
    "objectstore",
    "otel-collector",
    "gateway",
    "cpu-worker",
    "gpu-worker",
    "immich-agent",
    "prometheus",
)
"""What is named to podman-compose; they bring along what they depend on. Of Grafana there is no image."""
OURS: Final = ("scheduler", "gateway", "cpu-worker", "gpu-worker", "immich-agent")
GATEWAY_PORT, OBJECTS_PORT = 18080, 18333
LIMIT_S: Final = 300.0
"""How long anything is waited for."""
LOOK_S: Final = 0.5

T = TypeVar("T")


class Derivative(BaseModel):
    """What was made of an item, as REST tells of it."""

    kind: str


class Item(BaseModel):
    """An item, as REST tells of it."""

    id: str
    root: str
    path: str
    derivatives: list[Derivative]


class Worker(BaseModel):
    """A worker, as REST tells of it."""

    id: str
    connected: bool


class _Job(BaseModel):
    id: str
    status: str


class _Items(BaseModel):
    data: list[Item]


class _Workers(BaseModel):
    data: list[Worker]


class NotYetError(Exception):
    """What is waited for has not come about."""


class Composed:
    """What runs."""

    def __init__(self, tools: Path, media: Path, immich_url: str, immich_key: str) -> None:
        self.rest = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{GATEWAY_PORT}", timeout=30.0, trust_env=False
        )
        self._program = str(tools / "bin" / "podman-compose")
        self._environment = {
            **os.environ,
            "MEDIA": str(media),
            "CALLSHEET_PORT": str(GATEWAY_PORT),
            "OBJECTS_PORT": str(OBJECTS_PORT),
            "IMMICH_URL": immich_url,
            "IMMICH_API_KEY": immich_key,
        }

    # ---- containers ----

    async def compose(self, *words: str) -> str:
        """Run podman-compose with all profiles."""
        chosen = [f"--file={file}" for file in FILES] + [f"--profile={profile}" for profile in PROFILES]
        return await self.said(self._program, f"--project-name={PROJECT}", "--in-pod=false", *chosen, *words)

    async def up(self) -> None:
        """Bring everything up, and wait until REST answers for a scheduler."""
        await self.compose("up", "--detach", "--no-build", *SERVICES)
        await self.until("the gateway is ready", self._ready)
        token = await self.within("gateway", "cat", "/etc/callsheet/admin-token")
        self.rest.headers["Authorization"] = f"Bearer {token}"

    async def _ready(self) -> None:
        with suppress(httpx.TransportError):
            if (await self.rest.get("/readyz")).is_success:
                return
        raise NotYetError

    async def podman(self, *words: str) -> str:
        """Run podman."""
        return await self.said("podman", *words)

    async def within(self, service: str, *words: str, given: str = "") -> str:
        """Run a program in the container of a service; *given* is its input."""
        return await self.said("podman", "exec", "--interactive", container(service), *words, given=given)

    async def asked(self, url: str) -> str:
        """Return what *url* answers to who asks from inside the network of the services."""
        asking = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
        return await self.within("gateway", "python3", "-c", asking, url)

    async def logs(self, service: str) -> str:
        """Return what a service has printed."""
        return await self.podman("logs", container(service))

    async def started(self) -> dict[str, str]:
        """Return when each of our services was started."""
        names = [container(one) for one in OURS]
        times = await self.podman("inspect", "--format={{.State.StartedAt}}", *names)
        return dict(zip(OURS, times.splitlines(), strict=True))

    async def said(self, *words: str, given: str = "") -> str:
        """Run a program and return what it printed; one that fails is a failure of the trial."""
        process = await asyncio.create_subprocess_exec(
            *words, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=self._environment, cwd=ROOT
        )
        said = (await process.communicate(given.encode()))[0].decode(errors="replace")
        assert process.returncode == 0, f"{' '.join(words)}: {said[-4000:]}"
        return said.strip()

    # ---- what REST tells ----

    async def submit(
        self, job_type: str, params: dict[str, str], headers: dict[str, str] | None = None
    ) -> str:
        """Submit a job and return its id."""
        answer = await self.rest.post(
            "/api/media/jobs", json={"type": job_type, "params": params}, headers=headers
        )
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return _Job.model_validate_json(answer.content).id

    async def completed(self, what: str, job_id: str) -> None:
        """Wait until a job is completed; one that fails is a failure of the trial."""

        async def see() -> None:
            answer = (await self.rest.get(f"/api/media/jobs/{job_id}")).raise_for_status()
            status = _Job.model_validate_json(answer.content).status
            assert status not in {"failed", "cancelled"}, answer.text
            if status != "completed":
                raise NotYetError(answer.text)

        await self.until(what, see)

    async def items(self, root: str) -> list[Item]:
        """Return the items of a root."""
        answer = (await self.rest.get("/api/media/items", params={"limit": 100})).raise_for_status()
        return [item for item in _Items.model_validate_json(answer.content).data if item.root == root]

    async def workers(self) -> list[str]:
        """Return the identities of the workers that are connected."""
        answer = (await self.rest.get("/api/workers")).raise_for_status()
        return [one.id for one in _Workers.model_validate_json(answer.content).data if one.connected]

    async def until(self, what: str, see: Callable[[], Awaitable[T]]) -> T:
        """Look until *see* returns; it raises NotYetError before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            try:
                found = await see()
            except (NotYetError, httpx.HTTPError) as error:
                if loop.time() - began > LIMIT_S:
                    raise TimeoutError(f"not within {LIMIT_S:g} s: {what}") from error
                await asyncio.sleep(LOOK_S)
            else:
                say(f"{what} after {loop.time() - began:.0f} s")
                return found


def container(service: str) -> str:
    """Return the name of the container of a service."""
    return f"{PROJECT}_{service}_1"


@asynccontextmanager
async def composed(tools: Path, media: Path, immich_url: str, immich_key: str) -> AsyncGenerator[Composed]:
    """Bring everything up from nothing; at the end nothing of it is left, and who failed has said why."""
    site = Composed(tools, media, immich_url, immich_key)
    async with site.rest:
        try:
            await site.compose("down", "--volumes")
            await site.up()
            yield site
        except BaseException:
            for service in (*OURS, "objectstore", "prometheus"):
                with suppress(AssertionError):
                    say(f"=== {service}\n{(await site.logs(service))[-3000:]}")
            raise
        finally:
            await site.compose("down", "--volumes")


def say(what: str) -> None:
    """Tell what was seen."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
