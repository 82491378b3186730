"""REST over a real scheduler and a real CPU worker: the documented requests and answers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path
from typing import cast

import httpx
import pytest
from callsheet_gateway.auth import ROLES, Role
from callsheet_gateway.settings import GatewaySettings
from PIL import Image

from callsheet.client import Patience
from callsheet.service.settings import RootSettings
from tests.support.gateways import TOKEN, rest_over
from tests.support.media import quadrants
from tests.support.real_scheduler import RealScheduler, real_scheduler

Json = dict[str, object]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    quadrants(640, 480).save(folder / "photo.jpg")
    (folder / "broken.jpg").write_bytes(b"no picture at all")
    return folder


@pytest.fixture
def settings(tmp_path: Path, library: Path) -> GatewaySettings:
    token_file = tmp_path / "admin-token"
    token_file.write_text(TOKEN)
    derivatives = tmp_path / "derivatives"
    derivatives.mkdir()
    return GatewaySettings(
        admin_token_file=token_file,
        roots={
            "library": RootSettings(path=library),
            "derivatives": RootSettings(path=derivatives, writable=True),
        },
    )


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncGenerator[RealScheduler]:
    async with real_scheduler(fresh_dsn, tmp_path) as scheduler:
        yield scheduler


@pytest.fixture
async def api(scheduler: RealScheduler, settings: GatewaySettings) -> AsyncGenerator[httpx.AsyncClient]:
    async with rest_over(scheduler.address, settings) as rest:
        yield rest


@pytest.fixture
async def worker(scheduler: RealScheduler, settings: GatewaySettings, tmp_path: Path) -> AsyncGenerator[None]:
    roots = {name: root.model_dump(mode="json") for name, root in settings.roots.items()}
    environment = os.environ | {
        "CALLSHEET_SCHEDULER": scheduler.address,
        "CALLSHEET_ROOTS": json.dumps(roots),
        "CALLSHEET_SPOOL": str(tmp_path / "spool"),
        "CALLSHEET_CHILDREN": "1",
        "CALLSHEET_DRAIN_GRACE_S": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callsheet_cpu_worker.main",
        env=environment,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def created(api: httpx.AsyncClient, **changes: object) -> Json:
    answer = await api.post("/api/media/jobs", json={"type": "scan", "params": {"path": "a"}} | changes)
    assert answer.status_code == 201, answer.text
    return cast("Json", answer.json())


async def test_created_job_answers_as_documented_and_is_listed_and_shown(api: httpx.AsyncClient) -> None:
    job = await created(api, priority=3, resourceCategory="cpu", vramRequired=0)
    assert (job["type"], job["status"], job["progress"]) == ("scan", "pending", 0)
    assert str(job["createdAt"]).endswith("Z")
    page = (await api.get("/api/media/jobs", params={"status": "pending", "type": "scan"})).json()
    assert [row["id"] for row in page["data"]] == [job["id"]]
    assert page["pagination"] | {"nextCursor": None} == {
        "page": 1,
        "limit": 20,
        "total": 1,
        "totalPages": 1,
        "totalIsExact": True,
        "nextCursor": None,
    }
    shown = (await api.get(f"/api/media/jobs/{job['id']}")).json()
    assert shown["params"] == {"path": "a"}
    assert (shown["retryCount"], shown["maxRetries"], shown["log"]) == (0, 3, "")
    assert shown["waitingReason"] == "No connected worker handles scan"
    assert shown["queuePosition"] == 1


async def test_pages_follow_one_another_without_gap(api: httpx.AsyncClient) -> None:
    ids = [str((await created(api))["id"]) for _ in range(5)]
    first = (await api.get("/api/media/jobs", params={"limit": 2})).json()
    second = (await api.get("/api/media/jobs", params={"limit": 2, "page": 2})).json()
    cursor = first["pagination"]["nextCursor"]
    by_cursor = (await api.get("/api/media/jobs", params={"limit": 2, "cursor": cursor})).json()
    assert [row["id"] for row in first["data"]] == [ids[4], ids[3]]
    assert [row["id"] for row in second["data"]] == [ids[2], ids[1]]
    assert by_cursor["data"] == second["data"]


async def test_cancelled_job_can_be_retried_and_its_log_tells(api: httpx.AsyncClient) -> None:
    job_id = (await created(api))["id"]
    cancelled = await api.post(f"/api/media/jobs/{job_id}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["log"].endswith("--- JOB CANCELLED BY ADMIN ---\n")
    again = await api.post(f"/api/media/jobs/{job_id}/cancel")
    assert again.status_code == 409
    assert "cancelled" in again.json()["detail"]
    retried = (await api.post(f"/api/media/jobs/{job_id}/retry")).json()
    assert (retried["status"], retried["retryCount"], retried["retryAfter"]) == ("pending", 1, None)
    assert retried["log"].endswith("--- RETRY ATTEMPT 1 ---\n")
    assert (await api.post(f"/api/media/jobs/{job_id}/retry")).status_code == 409


async def test_statistics_have_the_documented_keys(api: httpx.AsyncClient) -> None:
    await created(api)
    stats = (await api.get("/api/media/jobs/stats")).json()
    assert stats["pending"] == 1
    assert stats["jobsByType"] == {"scan": 1}
    for key in ("queued", "running", "completed", "failed", "paused", "totalVramUsed", "totalVramAvailable"):
        assert stats[key] == 0
    assert stats["averageProcessingTime"] == 0


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"type": "nope"}, 422, "type"),
        ({"type": "scan", "params": {"root": 3}}, 422, "params.root"),
        ({"type": "scan", "params": {"unknown": 3}}, 422, "params"),
        ({"type": "scan", "priority": 11}, 422, "priority"),
        ({"type": "scan", "resourceCategory": "gpu_ai"}, 422, "resourceCategory"),
        ({"type": "scan", "surplus": 1}, 422, "surplus"),
        ({}, 422, "type"),
    ],
)
async def test_wrong_job_is_refused_and_the_field_is_named(
    api: httpx.AsyncClient,
    body: Json,
    status: int,
    field: str,
) -> None:
    answer = await api.post("/api/media/jobs", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert problem["error"] == problem["detail"]


async def test_malformed_json_is_400_and_a_large_body_413(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    assert (await api.post("/api/media/jobs", content=b"{", headers=headers)).status_code == 400
    assert (await api.post("/api/media/jobs", content=b" " * 2_000_000, headers=headers)).status_code == 413


async def test_unknown_things_are_404(api: httpx.AsyncClient) -> None:
    nobody = "01a1f700-0000-7000-8000-000000000001"
    for path in (f"/api/media/jobs/{nobody}", "/api/media/jobs/x", f"/api/media/items/{nobody}", "/nothing"):
        answer = await api.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["title"] == "There is no such thing"


async def test_every_endpoint_of_the_document_wants_a_credential(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json", headers={"Authorization": ""})).json()
    checked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            public = ROLES[method.upper(), path] is Role.PUBLIC
            where = path.replace("{job_id}", "x").replace("{item_id}", "x")
            for credential in ("", "Bearer wrong", "Basic " + TOKEN, f"Bearer {TOKEN}x"):
                answer = await api.request(method, where, headers={"Authorization": credential})
                assert (answer.status_code == 401) != public, (method, path, credential)
                checked += not public
    assert checked >= 4 * 12


async def test_docs_page_needs_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    assert "https://" not in page
    assert (await api.get("/docs/assets/swagger-ui.js")).status_code == 200


async def test_gateway_says_when_no_scheduler_answers(settings: GatewaySettings) -> None:
    patience = Patience(total_s=0.2, try_s=0.2)
    async with rest_over("127.0.0.1:1", settings, patience=patience) as away:
        answer = await away.get("/api/media/jobs")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert (await away.get("/readyz")).status_code == 503
        assert (await away.get("/healthz")).status_code == 200


@pytest.mark.usefixtures("worker")
async def test_metadata_and_thumbnail_are_made_on_the_spot_and_cached(
    api: httpx.AsyncClient,
    library: Path,
) -> None:
    path = str(library / "photo.jpg")
    fresh = await api.get("/api/media/metadata", params={"file_path": path})
    assert fresh.status_code == 200, fresh.text
    assert fresh.json() | {"cached_at": ""} == {
        "file_path": path,
        "width": 640,
        "height": 480,
        "file_size": (library / "photo.jpg").stat().st_size,
        "duration": None,
        "format": "JPEG",
        "cached": False,
        "cached_at": "",
    }
    assert (await api.get("/api/media/metadata", params={"file_path": "photo.jpg"})).json()["cached"]
    picture = await api.get("/api/media/thumbnail", params={"file_path": path})
    assert picture.status_code == 200, picture.text
    assert Image.open(BytesIO(picture.content)).size == (300, 225)
    etag = {"If-None-Match": picture.headers["etag"]}
    same = await api.get("/api/media/thumbnail", params={"file_path": path}, headers=etag)
    assert (same.status_code, same.content) == (304, b"")
    wide = await api.get("/api/media/thumbnail", params={"file_path": path, "size": 120})
    assert Image.open(BytesIO(wide.content)).width == 120
    stats = (await api.get("/api/media/cache/stats")).json()
    assert stats["thumbnails"]["exists"]
    assert stats["thumbnails"]["count"] >= 1
    assert stats["metadata"]["count"] == 1
    items = (await api.get("/api/media/items")).json()["data"]
    assert [(item["path"], item["isValid"]) for item in items] == [("photo.jpg", True)]


@pytest.mark.usefixtures("worker")
async def test_broken_file_and_one_outside_every_root_say_so(api: httpx.AsyncClient, library: Path) -> None:
    broken = await api.get("/api/media/metadata", params={"file_path": str(library / "broken.jpg")})
    assert broken.status_code == 422
    assert "broken.jpg" in broken.json()["detail"]
    for path in ("/etc/passwd", str(library / ".." / "admin-token"), "../admin-token", "nothing.jpg"):
        assert (await api.get("/api/media/metadata", params={"file_path": path})).status_code == 404, path
