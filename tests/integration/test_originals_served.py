"""Originals as players and downloads take them, from a folder and from a bucket, over real HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from tests.support.fresh_database import new_database
from tests.support.gateways import TOKEN, real_gateway
from tests.support.library_sites import Json, Stack, item_of, library_site, picture
from tests.support.media import sound, video
from tests.support.objects import Bucket, Objects
from tests.support.rest import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("film.mp4", 'fête "1".jpg', "tone.mp3", "broken.jpg", "big.mp4")


class Served(NamedTuple):
    """A site whose library lies in a folder, and the same files in a bucket."""

    stack: Stack
    http: httpx.AsyncClient
    items: dict[str, Json]
    contents: dict[str, bytes]
    bucket: Bucket

    async def get(self, name: str, **headers: str) -> httpx.Response:
        """Ask for an original; underscores of header names stand for hyphens."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.http.get(self.path(name), headers=named)

    def path(self, name: str) -> str:
        return f"/api/media/items/{self.items[name]['id']}/stream"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, objects: Objects
) -> AsyncGenerator[Served]:
    folder = tmp_path_factory.mktemp("originals")
    bucket = objects.bucket("streamed")
    dsn = await new_database(database_server)
    async with library_site(dsn, folder, {"remote": objects.settings(bucket.name)}) as stack:
        contents = written(stack.library, bucket)
        rest = Rest(stack.rest)
        for root in ("library", "remote"):
            await rest.once(await rest.create("scan", params={"root": root, "pictures": False}), "completed")
        items = {name: await item_of(stack.rest, name) for name in NAMES}
        items["remote"] = await item_of(stack.rest, "kept.mp4")
        roots = stack.settings.model_dump_json(include={"roots"})[len('{"roots":') : -1]
        async with (
            real_gateway(folder, scheduler=stack.scheduler.address, roots=roots, stream_stall_s="1") as (
                _,
                port,
            ),
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=30,
            ) as http,
        ):
            yield Served(stack, http, items, contents, bucket)


def written(library: Path, bucket: Bucket) -> dict[str, bytes]:
    video(library / "film.mp4")
    picture(library / 'fête "1".jpg')
    sound(library / "tone.mp3")
    (library / "broken.jpg").write_bytes(b"<html><script>alert(1)</script>" * 40)
    padding = (32 * 1024 * 1024).to_bytes(4, "big") + b"free" + bytes(32 * 1024 * 1024 - 8)
    (library / "big.mp4").write_bytes((library / "film.mp4").read_bytes() + padding)
    contents = {name: (library / name).read_bytes() for name in NAMES}
    contents["remote"] = contents["film.mp4"]
    bucket.put("trip/kept.mp4", contents["remote"])
    return contents


@pytest.mark.parametrize("name", ["film.mp4", "remote"])
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, None), ("bytes=-50", -50, None), ("bytes=1-1", 1, 1)],
)
async def test_part_that_is_asked_for_comes_from_folders_and_buckets(
    served: Served, name: str, asked: str, first: int, last: int | None
) -> None:
    whole = served.contents[name]
    answer = await served.get(name, range=asked)
    start = first if first >= 0 else len(whole) + first
    end = len(whole) - 1 if last is None else last
    assert (answer.status_code, answer.content) == (206, whole[start : end + 1])
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("name", ["film.mp4", "remote"])
async def test_conditions_are_weighed_in_folders_and_buckets(served: Served, name: str) -> None:
    whole = await served.get(name)
    assert (whole.status_code, whole.content) == (200, served.contents[name])
    etag, changed_at = whole.headers["etag"], whole.headers["last-modified"]
    assert whole.headers["accept-ranges"] == "bytes"
    for known in ({"if_none_match": etag}, {"if_modified_since": changed_at}):
        answer = await served.get(name, **known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    for other in ({"if_match": '"x"'}, {"if_unmodified_since": "Mon, 01 Jan 2001 00:00:00 GMT"}):
        answer = await served.get(name, **other)
        assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")
    assert (await served.get(name, range="bytes=0-9", if_range=etag)).status_code == 206
    assert (await served.get(name, range="bytes=0-9", if_range='"old"')).status_code == 200
    beyond = await served.get(name, range=f"bytes={len(whole.content)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    several = await served.get(name, range="bytes=0-1,3-4")
    assert (several.status_code, several.content) == (200, whole.content)


@pytest.mark.parametrize("name", ["film.mp4", "remote"])
async def test_head_says_everything_and_sends_nothing(served: Served, name: str) -> None:
    answer = await served.http.head(served.path(name), headers={"range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(served.contents[name]))
    assert answer.headers["content-type"] == "video/mp4"


async def test_names_and_types_do_no_harm_in_a_browser(served: Served) -> None:
    shown = await served.get('fête "1".jpg')
    assert shown.headers["content-type"] == "image/jpeg"
    encoded = quote('fête "1".jpg', safe="")
    said = f"inline; filename=\"f_te _1_.jpg\"; filename*=UTF-8''{encoded}"
    assert shown.headers["content-disposition"] == said
    saved = await served.http.get(served.path("tone.mp3"), params={"download": "true"})
    assert saved.headers["content-disposition"] == 'attachment; filename="tone.mp3"'
    assert saved.headers["content-type"] == "audio/mpeg"
    hostile = await served.get("broken.jpg")
    assert hostile.content == served.contents["broken.jpg"]
    assert hostile.headers["content-type"] == "application/octet-stream"
    assert hostile.headers["content-disposition"] == 'attachment; filename="broken.jpg"'
    assert hostile.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in hostile.headers["content-security-policy"]


async def test_file_that_is_replaced_has_another_tag_and_one_that_is_gone_is_not_found(
    served: Served,
) -> None:
    path = served.stack.library / "tone.mp3"
    before = (await served.get("tone.mp3")).headers["etag"]
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")
    again = await served.get("tone.mp3", range="bytes=0-0", if_range=before)
    assert (again.status_code, again.headers["etag"] != before) == (200, True)
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert (await served.get("tone.mp3")).status_code == 404
    path.unlink()
    assert (await served.get("tone.mp3")).status_code == 404
    path.write_bytes(whole)


async def test_client_that_reads_nothing_is_cut_off(served: Served) -> None:
    async with served.http.stream("GET", served.path("big.mp4")) as answer:
        pieces = answer.aiter_raw()
        received = len(await anext(pieces))
        while not await is_cut(served):
            pass
        with pytest.raises(httpx.RemoteProtocolError):
            received += await size_of(pieces)
    assert 0 < received < len(served.contents["big.mp4"])


async def size_of(pieces: AsyncIterator[bytes]) -> int:
    return sum([len(piece) async for piece in pieces])


async def is_cut(served: Served) -> bool:
    """Say whether no request is under way but the one that asks."""
    metrics = (await served.http.get("/metrics")).text
    [line] = [
        one for one in metrics.splitlines() if one.startswith("callsheet_gateway_requests_in_progress ")
    ]
    return float(line.rpartition(" ")[2]) <= 1


async def test_roots_are_listed_with_who_reaches_and_who_writes_them(served: Served) -> None:
    answer = await served.http.get("/api/roots")
    roots = {one["name"]: one for one in answer.json()["data"]}
    [worker] = roots["library"]["readers"]
    assert roots == {
        name: {
            "name": name,
            "kind": kind,
            "gateway": "write" if writable else "read",
            "readers": [worker],
            "writers": [worker] if writable else [],
        }
        for name, kind, writable in (
            ("derivatives", "folder", True),
            ("library", "folder", False),
            ("remote", "bucket", True),
        )
    }
