"""A library with a scheduler, a CPU worker and REST around it, for tests over REST."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from pydantic import TypeAdapter

from callsheet.client import Patience
from callsheet.service.settings import AnyRootSettings, RootSettings
from tests.support.fresh_database import new_database
from tests.support.gateways import rest_over
from tests.support.media import quadrants
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.warm import WarmProcess, start_warm

Json = dict[str, object]
OBJECT: TypeAdapter[Json] = TypeAdapter(Json)
OBJECTS: TypeAdapter[list[Json]] = TypeAdapter(list[Json])
PATIENCE = Patience(total_s=5.0, try_s=30.0)


class Stack(NamedTuple):
    """What these tests share: each brings its own files."""

    scheduler: RealScheduler
    settings: GatewaySettings
    library: Path
    rest: httpx.AsyncClient


@asynccontextmanager
async def library_site(
    dsn: str, folder: Path, elsewhere: Mapping[str, AnyRootSettings] | None = None
) -> AsyncGenerator[Stack]:
    """Run all of it over a database, with its files in *folder*; *elsewhere* are roots in their place."""
    library, derivatives = folder / "library", folder / "derivatives"
    library.mkdir()
    derivatives.mkdir()
    roots: dict[str, AnyRootSettings] = {
        "library": RootSettings(path=library),
        "derivatives": RootSettings(path=derivatives, writable=True),
    }
    settings = GatewaySettings(roots=roots | dict(elsewhere or {}), views_told_s=0.05)
    async with real_scheduler(dsn, folder) as scheduler:
        worker = await started_worker(scheduler, settings, folder)
        try:
            async with rest_over(scheduler.address, settings, patience=PATIENCE) as rest:
                yield Stack(scheduler, settings, library, rest)
        finally:
            worker.terminate()
            await worker.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stack]:
    dsn = await new_database(database_server)
    async with library_site(dsn, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def rest(stack: Stack) -> httpx.AsyncClient:
    return stack.rest


@pytest.fixture
def library(stack: Stack) -> Path:
    return stack.library


async def started_worker(scheduler: RealScheduler, settings: GatewaySettings, folder: Path) -> WarmProcess:
    roots = {name: root.model_dump(mode="json") for name, root in settings.roots.items()}
    environment = os.environ | {
        "CALLSHEET_SCHEDULER": scheduler.address,
        "CALLSHEET_ROOTS": json.dumps(roots),
        "CALLSHEET_SPOOL": str(folder / "spool"),
        "CALLSHEET_SCRATCH": str(folder / "scratch"),
        "CALLSHEET_FREE_DISK_FLOOR_MIB": "1",
        "CALLSHEET_CHILDREN": "1",
        "CALLSHEET_DRAIN_GRACE_S": "1",
        "CALLSHEET_LOG_LEVEL": "warning",
    }
    return await start_warm("callsheet_cpu_worker.main", environment=environment)


def picture(path: Path, width: int = 640, height: int = 480) -> Path:
    path.parent.mkdir(exist_ok=True)
    quadrants(width, height).save(path)
    return path


def metadata(rest: httpx.AsyncClient, file_path: object) -> "asyncio.Future[httpx.Response]":
    return asyncio.ensure_future(rest.get("/api/media/metadata", params={"file_path": str(file_path)}))


async def jobs_about(rest: httpx.AsyncClient, text: str) -> list[Json]:
    page = OBJECT.validate_python((await rest.get("/api/media/jobs", params={"q": text})).json())
    return OBJECTS.validate_python(page["data"])


async def item_of(rest: httpx.AsyncClient, name: str) -> Json:
    page = OBJECT.validate_python((await rest.get("/api/media/items", params={"q": name})).json())
    [item] = OBJECTS.validate_python(page["data"])
    return item
