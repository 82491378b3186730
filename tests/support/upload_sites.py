"""A gateway process that takes uploads, a scheduler and a worker behind it, and what a tus client does."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.service.settings import AnyRootSettings, RootSettings
from tests.support.fresh_database import new_database
from tests.support.gateways import TOKEN, real_gateway
from tests.support.library_sites import Json, Stack, library_site
from tests.support.objects import Objects

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
LIMIT = 40 * 1024 * 1024


class UploadSite(NamedTuple):
    """A stack whose gateway is a process of its own, and takes uploads."""

    stack: Stack
    http: httpx.AsyncClient
    folder: Path
    """What uploads are written to."""
    settings: dict[str, str]

    async def create(self, name: str, length: int, **metadata: str) -> httpx.Response:
        """Begin an upload."""
        answer = await self.asked(name, length, **metadata)
        assert answer.status_code == 201, answer.text
        return answer

    async def refused(self, status: int, name: str, length: int, **metadata: str) -> httpx.Response:
        """Fail to begin an upload."""
        answer = await self.asked(name, length, **metadata)
        assert answer.status_code == status, answer.text
        return answer

    async def asked(self, name: str, length: int, **metadata: str) -> httpx.Response:
        """Ask for an upload."""
        headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": pairs(filename=name, **metadata)}
        return await self.http.post("/api/media/upload", headers=headers)

    async def begin(self, name: str, length: int, **metadata: str) -> str:
        """Begin an upload and return where it goes on."""
        headers = (await self.create(name, length, **metadata)).headers
        return headers["location"]

    async def patch(
        self, path: str, offset: int, content: bytes | AsyncIterator[bytes], *, status: int = 204, **more: str
    ) -> httpx.Response:
        """Send a piece."""
        headers = {**PIECE, "Upload-Offset": str(offset)} | {k.replace("_", "-"): v for k, v in more.items()}
        answer = await self.http.patch(path, headers=headers, content=content)
        assert answer.status_code == status, answer.text
        return answer

    async def until(self, path: str, offset: int) -> None:
        """Wait until an upload is so far; the test's time limit ends a vain wait."""
        while await self.offset(path) < offset:  # noqa: ASYNC110 -- nothing here sets an event
            await asyncio.sleep(0.02)

    async def offset(self, path: str) -> int:
        """Return how far an upload is."""
        answer = await self.http.head(path, headers=TUS)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        return int(answer.headers["upload-offset"])

    async def whole(self, name: str, content: bytes, **metadata: str) -> Json:
        """Send a file in one piece and return what is said of it."""
        path = await self.begin(name, len(content), **metadata)
        await self.patch(path, 0, content)
        view: Json = (await self.http.get(path)).json()
        return view

    def hidden(self) -> list[str]:
        """Return what lies in the root but is no original, sorted."""
        found = [
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()
        ]
        return sorted(path for path in found if "/." in f"/{path}" and "/done/" not in path)


def pairs(**metadata: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upload_site(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, objects: Objects
) -> AsyncGenerator[UploadSite]:
    folder = tmp_path_factory.mktemp("site")
    uploads = folder / "incoming"
    uploads.mkdir()
    roots: dict[str, AnyRootSettings] = {
        "uploads": RootSettings(path=uploads, writable=True),
        "bucket": objects.settings(objects.bucket("uploaded").name),
    }
    dsn = await new_database(database_server)
    async with library_site(dsn, folder, roots) as stack:
        given = {name: root.model_dump(mode="json") for name, root in stack.settings.roots.items()}
        settings = {
            "scheduler": stack.scheduler.address,
            "roots": json.dumps(given),
            "upload_bytes_max": str(LIMIT),
            "uploads_bytes_max": str(LIMIT * 2),
            "upload_idle_s": "3",
            "upload_sweep_s": "0.2",
            "free_disk_floor_mib": "1",
        }
        async with real_gateway(folder, **settings) as (_, port), client(port) as http:
            yield UploadSite(stack, http, uploads, settings)


def client(port: int) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60.0)
