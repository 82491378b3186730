"""A library in a bucket: a real scheduler, worker and gateway over a real S3 server."""

from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from PIL import Image

from tests.support.fresh_database import new_database
from tests.support.library_sites import OBJECT, OBJECTS, Json, Stack, item_of, library_site, metadata
from tests.support.media import corners, quadrants, video
from tests.support.objects import SECRET, Bucket, Objects
from tests.support.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def originals(objects: Objects) -> Bucket:
    return objects.bucket("originals")


@pytest.fixture(scope="module")
def made(objects: Objects) -> Bucket:
    return objects.bucket("made")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    database_server: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
    objects: Objects,
    originals: Bucket,
    made: Bucket,
) -> AsyncGenerator[Stack]:
    dsn = await new_database(database_server)
    roots = {
        "library": objects.settings(originals.name, "media", writable=False),
        "derivatives": objects.settings(made.name, presign_s=300),
    }
    async with library_site(dsn, tmp_path_factory.mktemp("site"), roots) as site:
        yield site


def jpeg(width: int = 640, height: int = 480) -> bytes:
    content = BytesIO()
    quadrants(width, height).save(content, "JPEG")
    return content.getvalue()


async def scanned(rest: httpx.AsyncClient, **params: object) -> Json:
    asking = Rest(rest)
    job_id = await asking.create("scan", params={"root": "library", **params})
    return await asking.once(job_id, "completed")


async def test_library_in_a_bucket_is_scanned_and_its_pictures_lie_in_another(
    rest: httpx.AsyncClient, originals: Bucket, made: Bucket, tmp_path: Path
) -> None:
    originals.put("media/trip/photo.jpg", jpeg())
    video(tmp_path / "film.mp4")
    originals.put("media/trip/film.mp4", (tmp_path / "film.mp4").read_bytes())
    originals.put("media/notes.txt", b"no media")
    originals.put("elsewhere.jpg", jpeg())

    await scanned(rest)
    picture = await rest.get("/api/media/thumbnail", params={"file_path": "library:trip/photo.jpg"})
    still = await rest.get("/api/media/thumbnail", params={"file_path": "trip/film.mp4", "size": 64})

    assert picture.status_code == 200, picture.text
    with Image.open(BytesIO(picture.content)) as shown:
        assert (shown.size, corners(shown)) == ((300, 225), "RGBW")
    assert still.status_code == 200, still.text
    page = OBJECT.validate_python((await rest.get("/api/media/items")).json())
    items = OBJECTS.validate_python(page["data"])
    assert [one["path"] for one in items] == ["trip/film.mp4", "trip/photo.jpg"]
    assert all(key.startswith(("thumbnails/", "previews/")) for key in made.keys(""))
    assert made.uploads() == []


async def test_picture_in_a_bucket_is_served_whole_in_part_or_not_at_all(
    rest: httpx.AsyncClient, originals: Bucket
) -> None:
    originals.put("media/parts.jpg", jpeg())
    asked = {"file_path": "parts.jpg"}

    whole = await rest.get("/api/media/thumbnail", params=asked)
    part = await rest.get("/api/media/thumbnail", params=asked, headers={"Range": "bytes=10-19"})
    known = await rest.get(
        "/api/media/thumbnail", params=asked, headers={"If-None-Match": whole.headers["etag"]}
    )
    beyond = await rest.get("/api/media/thumbnail", params=asked, headers={"Range": "bytes=99999999-"})

    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert (known.status_code, known.content) == (304, b"")
    assert beyond.status_code == 416


async def test_item_says_where_its_pictures_can_be_fetched_without_the_gateway(
    rest: httpx.AsyncClient, originals: Bucket
) -> None:
    originals.put("media/linked.jpg", jpeg())
    served = await rest.get("/api/media/thumbnail", params={"file_path": "linked.jpg"})

    item = await item_of(rest, "linked.jpg")
    by_kind = {one["kind"]: one for one in OBJECTS.validate_python(item["derivatives"])}
    address = str(by_kind["thumbnail"]["url"])

    assert SECRET not in address
    async with httpx.AsyncClient(timeout=30) as anybody:
        fetched = await anybody.get(address)
    assert fetched.content == served.content
    assert fetched.headers["content-type"] == "image/jpeg"


async def test_object_that_was_replaced_is_read_again(rest: httpx.AsyncClient, originals: Bucket) -> None:
    originals.put("media/changed.jpg", jpeg())
    before = (await metadata(rest, "changed.jpg")).json()
    again = (await metadata(rest, "changed.jpg")).json()
    originals.put("media/changed.jpg", jpeg(320, 240))
    after = (await metadata(rest, "changed.jpg")).json()

    assert (before["width"], before["cached"], again["cached"]) == (640, False, True)
    assert (after["width"], after["cached"]) == (320, False)


async def test_object_that_was_removed_is_marked_and_one_in_a_lost_bucket_is_not(
    rest: httpx.AsyncClient, objects: Objects, originals: Bucket, stack: Stack
) -> None:
    originals.put("media/goes.jpg", jpeg())
    originals.put("media/stays.jpg", jpeg())
    await scanned(rest)
    originals.remove("media/goes.jpg")
    await scanned(rest)

    assert (await item_of(rest, "goes.jpg"))["status"] == "missing"
    assert (await item_of(rest, "stays.jpg"))["status"] == "ok"

    originals.drop()
    asking = Rest(rest)
    lost = await asking.once(await asking.create("scan", params={"root": "library"}, maxRetries=0), "failed")

    assert "there is no bucket 'originals'" in str(lost["error"])
    assert (await item_of(rest, "stays.jpg"))["status"] == "ok"
    answer = await metadata(rest, "stays.jpg")
    assert (answer.status_code, "there is no bucket" in answer.text) == (503, True)
    assert SECRET not in answer.text + str(lost)
