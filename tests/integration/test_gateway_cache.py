"""Building and sweeping the cache over REST, by a real scheduler and a real CPU worker."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.support.folders import folder_of
from tests.support.library_sites import (
    OBJECT,
    OBJECTS,
    Json,
    Stack,
    item_of,
    jobs_about,
    metadata,
    picture,
)
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_view_of_an_item_is_noted(rest: httpx.AsyncClient, library: Path) -> None:
    for name in ("viewed", "alone"):
        picture(library / f"{name}.jpg")
        assert (await metadata(rest, library / f"{name}.jpg")).status_code == 200
    item = await item_of(rest, "viewed")
    assert item["viewedAt"] is None
    assert (await rest.get(f"/api/media/items/{item['id']}/thumbnail")).status_code == 200
    async with asyncio.timeout(PATIENCE_S):
        while True:
            item = await item_of(rest, "viewed")
            if item["viewedAt"] is not None:
                break
            await asyncio.sleep(0.05)
    assert str(item["viewedAt"]) >= str(item["createdAt"])
    assert (await item_of(rest, "alone"))["viewedAt"] is None


async def test_rebuild_makes_what_is_lacking_and_a_second_one_finds_nothing_to_do(
    rest: httpx.AsyncClient, library: Path, stack: Stack
) -> None:
    for number in range(5):
        picture(library / "nightly" / f"{number}.jpg")
    asked = await rest.post("/api/media/cache/rebuild", json={"path": "library:nightly"})
    started = OBJECT.validate_python(asked.json())
    assert (asked.status_code, started["success"]) == (200, True)
    assert started["message"] == "Cache rebuild started in background"
    done = await completed(rest, started["job_id"])
    assert counts_of(done, "files", "made", "skipped", "broken", "failed") == [5, 5, 0, 0, 0]
    assert done["submittedBy"] == "admin"
    chunk, scan = await jobs_about(rest, str((await item_of(rest, "nightly/3"))["id"])), done["children"]
    assert (chunk[0]["type"], chunk[0]["priority"], scan) == ("cache_build", 10, 2)
    assert {one["kind"] for one in await made_of(rest, "nightly/3")} == {"thumbnail", "preview", "thumbhash"}
    again = await rest.post("/api/media/cache/rebuild", json={"path": "library:nightly"})
    second = await completed(rest, again.json()["job_id"])
    assert counts_of(second, "files", "jobs", "made") == [5, 0, 0]
    forced = await rest.post("/api/media/cache/rebuild", json={"path": "library:nightly", "force": True})
    third = await completed(rest, forced.json()["job_id"])
    assert counts_of(third, "files", "jobs", "made") == [5, 1, 5]
    wrong = await rest.post("/api/media/cache/rebuild", json={"path": "/etc"})
    assert wrong.status_code == 404


async def test_sweep_removes_what_was_made_of_deleted_files_alone(
    rest: httpx.AsyncClient, library: Path, stack: Stack
) -> None:
    for name in ("stays.jpg", "goes.jpg"):
        picture(library / name)
        assert (await rest.get("/api/media/thumbnail", params={"file_path": name})).status_code == 200
    (library / "goes.jpg").unlink()
    asked = await rest.post("/api/media/jobs", json={"type": "scan", "params": {"root": "library"}})
    await completed(rest, asked.json()["id"])
    folder = folder_of(stack.settings.roots["derivatives"])
    gone = (await item_of(rest, "goes.jpg"))["id"]
    kept = (await item_of(rest, "stays.jpg"))["id"]
    assert list(folder.rglob(f"{gone}-*"))
    (folder / "notes.txt").write_text("not ours to remove")
    young = await rest.post("/api/media/jobs", json={"type": "cache_sweep"})
    assert counts_of(await completed(rest, young.json()["id"]), "removed") == [0]
    swept = await rest.post("/api/media/jobs", json={"type": "cache_sweep", "params": {"minAgeS": 0}})
    assert counts_of(await completed(rest, swept.json()["id"]), "removed") != [0]
    assert not list(folder.rglob(f"{gone}-*"))
    assert list(folder.rglob(f"{kept}-*"))
    assert (folder / "notes.txt").exists()
    assert (await rest.get(f"/api/media/items/{kept}/thumbnail")).status_code == 200
    picture(library / "goes.jpg")
    assert (await rest.get("/api/media/thumbnail", params={"file_path": "goes.jpg"})).status_code == 200


async def completed(rest: httpx.AsyncClient, job_id: object) -> Json:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job = OBJECT.validate_python((await rest.get(f"/api/media/jobs/{job_id}")).json())
            if job["status"] in {"completed", "failed", "cancelled"}:
                assert job["status"] == "completed", job["error"]
                return job
            await asyncio.sleep(0.1)


def counts_of(job: Json, *names: str) -> list[object]:
    result = OBJECT.validate_python(job["result"])
    return [result[name] for name in names]


async def made_of(rest: httpx.AsyncClient, name: str) -> list[Json]:
    return OBJECTS.validate_python((await item_of(rest, name))["derivatives"])
