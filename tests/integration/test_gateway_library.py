"""Metadata, thumbnails and items over a real scheduler and a real CPU worker."""

import asyncio
import re
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from callsheet_gateway.settings import GatewaySettings
from PIL import Image

from tests.support.folders import folder_of
from tests.support.gateways import rest_over
from tests.support.library_sites import (
    OBJECT,
    OBJECTS,
    PATIENCE,
    Stack,
    item_of,
    jobs_about,
    metadata,
    picture,
)
from tests.support.media import corners, sound, video

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_file_that_is_not_cached_is_read_at_once_and_then_is(
    rest: httpx.AsyncClient, library: Path
) -> None:
    path = picture(library / "fresh.jpg")
    answer = await metadata(rest, path)
    assert answer.status_code == 200, answer.text
    fresh = OBJECT.validate_python(answer.json())
    assert fresh == {
        "file_path": str(path),
        "width": 640,
        "height": 480,
        "file_size": path.stat().st_size,
        "duration": None,
        "format": "JPEG",
        "cached": False,
        "cached_at": fresh["cached_at"],
    }
    assert str(fresh["cached_at"]).endswith("Z")
    for name in (path, "fresh.jpg", "library:fresh.jpg"):
        again = OBJECT.validate_python((await metadata(rest, name)).json())
        assert again == fresh | {"cached": True, "file_path": str(name)}
    [job] = await jobs_about(rest, "fresh.jpg")
    assert (job["type"], job["priority"], job["interactive"]) == ("scan", 1, True)
    assert job["submittedBy"] == "admin"


async def test_file_that_changed_is_read_again_and_one_that_is_gone_is_not_found(
    rest: httpx.AsyncClient, library: Path
) -> None:
    path = picture(library / "changing.jpg")
    assert (await metadata(rest, path)).json()["width"] == 640
    picture(path, 320, 200)
    changed = (await metadata(rest, path)).json()
    assert (changed["width"], changed["cached"]) == (320, False)
    path.unlink()
    assert (await metadata(rest, path)).status_code == 404
    assert (await item_of(rest, "changing.jpg"))["status"] == "missing"


async def test_many_who_wait_for_one_file_wait_for_one_job(rest: httpx.AsyncClient, library: Path) -> None:
    path = picture(library / "wanted.jpg")
    answers = await asyncio.gather(*(metadata(rest, path) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await jobs_about(rest, "wanted.jpg")) == 1


async def test_broken_file_says_why(rest: httpx.AsyncClient, library: Path) -> None:
    (library / "broken.jpg").write_bytes(b"no picture at all")
    for path in ("/api/media/metadata", "/api/media/thumbnail"):
        answer = await rest.get(path, params={"file_path": "broken.jpg"})
        assert answer.status_code == 422
        [error] = answer.json()["errors"]
        assert error["field"] == "file_path"
        assert "'broken.jpg' cannot be used: unsupported" in error["message"]


async def test_path_outside_of_every_root_is_not_found_and_no_link_leads_there(
    rest: httpx.AsyncClient, library: Path
) -> None:
    secret = picture(library.parent / "secret" / "secret.jpg")
    (library / "link.jpg").symlink_to(secret)
    (library / "folder").symlink_to(secret.parent)
    outside = ["/etc/passwd", str(secret), "../secret/secret.jpg", f"{library}/../secret/secret.jpg"]
    for path in (*outside, "link.jpg", "folder/secret.jpg", "nothing.jpg", "derivatives:x.jpg"):
        for what in ("metadata", "thumbnail"):
            answer = await rest.get(f"/api/media/{what}", params={"file_path": path})
            assert answer.status_code in {404, 422}, (what, path)
            assert answer.headers["content-type"] == "application/problem+json"
    for path in outside:
        assert (await metadata(rest, path)).status_code == 404
    assert not [job for job in await jobs_about(rest, "/etc/passwd") if job]


async def test_thumbnail_is_made_at_once_and_kept(rest: httpx.AsyncClient, library: Path) -> None:
    path = picture(library / "pictured.jpg")
    first = await rest.get("/api/media/thumbnail", params={"file_path": str(path)})
    assert (first.status_code, first.headers["content-type"]) == (200, "image/jpeg")
    image = Image.open(BytesIO(first.content))
    assert (image.size, corners(image)) == ((300, 225), "RGBW")
    again = await rest.get("/api/media/thumbnail", params={"file_path": str(path)})
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    wide = await rest.get("/api/media/thumbnail", params={"file_path": "pictured.jpg", "size": 120})
    assert Image.open(BytesIO(wide.content)).size == (120, 90)
    assert wide.headers["etag"] != first.headers["etag"]


async def test_client_that_has_the_picture_gets_no_bytes_and_one_that_asks_for_a_part_gets_it(
    rest: httpx.AsyncClient, library: Path
) -> None:
    picture(library / "parted.jpg")
    asked = {"file_path": "parted.jpg"}
    whole = await rest.get("/api/media/thumbnail", params=asked)
    etag, size = whole.headers["etag"], len(whole.content)
    assert "must-revalidate" in whole.headers["cache-control"]

    async def get(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await rest.get("/api/media/thumbnail", params=asked, headers=named)

    same = await get(if_none_match=etag)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    part = await get(range="bytes=2-5")
    assert (part.status_code, part.content) == (206, whole.content[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{size}"
    assert (await get(range="bytes=2-5", if_range='"other"')).content == whole.content
    behind = await get(range=f"bytes={size}-")
    assert (behind.status_code, behind.headers["content-range"]) == (416, f"bytes */{size}")
    head = await rest.head("/api/media/thumbnail", params=asked)
    assert (head.status_code, head.headers["content-length"]) == (200, str(size))


async def test_replaced_original_gets_a_new_picture(rest: httpx.AsyncClient, library: Path) -> None:
    path = picture(library / "replaced.jpg")
    before = await rest.get("/api/media/thumbnail", params={"file_path": "replaced.jpg"})
    picture(path, 200, 400)
    after = await rest.get("/api/media/thumbnail", params={"file_path": "replaced.jpg"})
    assert Image.open(BytesIO(after.content)).size == (150, 300)
    assert after.headers["etag"] != before.headers["etag"]


async def test_picture_whose_bytes_are_gone_or_not_whole_is_not_served(
    rest: httpx.AsyncClient, stack: Stack
) -> None:
    picture(stack.library / "lost.jpg")
    await rest.get("/api/media/thumbnail", params={"file_path": "lost.jpg", "size": 64})
    item = await item_of(rest, "lost.jpg")
    folder = folder_of(stack.settings.roots["derivatives"])
    [file] = folder.rglob(f"*{item['id']}*w64*")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    cut = await rest.get(f"/api/media/items/{item['id']}/thumbnail", params={"size": 64})
    assert cut.status_code == 404
    assert "not whole" in cut.json()["detail"]
    file.unlink()
    gone = await rest.get(f"/api/media/items/{item['id']}/thumbnail", params={"size": 64})
    assert gone.status_code == 404
    assert "derivatives_generate with force" in gone.json()["detail"]


async def test_items_are_listed_shown_and_pictured(rest: httpx.AsyncClient, library: Path) -> None:
    for number in range(3):
        await metadata(rest, picture(library / "album" / f"{number}.jpg", 200, 300))
    answer = await rest.get("/api/media/items", params={"folder": "album", "root": "library", "limit": 2})
    page = OBJECT.validate_python(answer.json())
    items = OBJECTS.validate_python(page["data"])
    where = OBJECT.validate_python(page["pagination"])
    assert [(item["path"], item["orientation"]) for item in items] == [
        ("album/0.jpg", "portrait"),
        ("album/1.jpg", "portrait"),
    ]
    assert (where["total"], where["totalPages"]) == (3, 2)
    cursor: dict[str, str | int] = {
        "folder": "album",
        "root": "library",
        "limit": 2,
        "cursor": str(where["nextCursor"]),
    }
    rest_of_it = OBJECT.validate_python((await rest.get("/api/media/items", params=cursor)).json())
    assert [item["path"] for item in OBJECTS.validate_python(rest_of_it["data"])] == ["album/2.jpg"]
    one = items[0]
    shown = OBJECT.validate_python((await rest.get(f"/api/media/items/{one['id']}")).json())
    assert (shown["id"], shown["filename"], shown["isValid"]) == (one["id"], "0.jpg", True)
    thumbnail = await rest.get(str(shown["thumbnailUrl"]))
    assert Image.open(BytesIO(thumbnail.content)).size == (200, 300)
    after = OBJECT.validate_python((await rest.get(f"/api/media/items/{one['id']}")).json())
    assert [made["kind"] for made in OBJECTS.validate_python(after["derivatives"])].count("thumbnail") == 1


async def test_items_can_be_filtered_by_kind_status_and_name(rest: httpx.AsyncClient, library: Path) -> None:
    await metadata(rest, picture(library / "sorted.jpg"))
    (library / "sorted.mp4").write_bytes(b"no video at all")
    await metadata(rest, "sorted.mp4")

    async def paths(**asked: str | list[str]) -> list[object]:
        wanted: dict[str, str | list[str]] = {"q": "SORTED", **asked}
        page = (await rest.get("/api/media/items", params=wanted)).json()
        return [item["path"] for item in OBJECTS.validate_python(OBJECT.validate_python(page)["data"])]

    assert await paths() == ["sorted.jpg", "sorted.mp4"]
    assert await paths(kind="video") == ["sorted.mp4"]
    assert await paths(status="ok") == ["sorted.jpg"]
    assert await paths(status=["ok", "broken"], kind=["image", "audio"]) == ["sorted.jpg"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/media/metadata", "file_path"),
        ("/api/media/metadata?file_path=", "file_path"),
        ("/api/media/metadata?file_path=a.jpg&x=1", "x"),
        ("/api/media/thumbnail?file_path=a.jpg&size=15", "size"),
        ("/api/media/thumbnail?file_path=a.jpg&size=2049", "size"),
        ("/api/media/items?kind=text", "kind[0]"),
        ("/api/media/items?limit=1001", "limit"),
        ("/api/media/items?cursor=!", "cursor"),
    ],
)
async def test_wrong_value_is_refused_and_named(rest: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await rest.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("item_id", ["01a1f700-0000-7000-8000-000000000001", "x"])
async def test_unknown_item_is_not_found(rest: httpx.AsyncClient, item_id: str) -> None:
    for suffix in ("", "/thumbnail"):
        assert (await rest.get(f"/api/media/items/{item_id}{suffix}")).status_code == 404


async def test_cache_statistics_count_what_was_made(rest: httpx.AsyncClient, library: Path) -> None:
    before = (await rest.get("/api/media/cache/stats")).json()
    picture(library / "counted.jpg")
    made = await rest.get("/api/media/thumbnail", params={"file_path": "counted.jpg"})
    assert made.status_code == 200
    after = (await rest.get("/api/media/cache/stats")).json()
    assert {key: set(value) for key, value in after.items()} == {
        "thumbnails": {"exists", "count", "size_bytes"},
        "metadata": {"exists", "count", "size_bytes"},
    }
    assert after["thumbnails"]["exists"] is True
    assert after["thumbnails"]["count"] > before["thumbnails"]["count"]
    assert after["metadata"]["count"] == before["metadata"]["count"] + 1


async def test_picture_in_a_root_that_the_gateway_does_not_reach_says_so(stack: Stack) -> None:
    picture(stack.library / "far.jpg")
    made = await stack.rest.get("/api/media/thumbnail", params={"file_path": "far.jpg"})
    assert made.status_code == 200
    near = GatewaySettings(roots={"library": stack.settings.roots["library"]})
    async with rest_over(stack.scheduler.address, near, patience=PATIENCE) as rest:
        answer = await rest.get("/api/media/thumbnail", params={"file_path": "far.jpg"})
        assert answer.status_code == 409
        assert "root derivatives, which this gateway does not reach" in answer.json()["detail"]


async def test_viewer_gets_sheet_and_track_of_a_video_and_waveform_of_a_recording(
    rest: httpx.AsyncClient, library: Path
) -> None:
    video(library / "scrub.mp4")
    sound(library / "song.ogg", codec=("-c:a", "libvorbis"))
    for name in ("scrub.mp4", "song.ogg"):
        assert (await metadata(rest, name)).status_code == 200
    film, song = [f"/api/media/items/{(await item_of(rest, name))['id']}" for name in ("scrub", "song.ogg")]
    track = await rest.get(f"{film}/sprite.vtt")
    assert (track.status_code, track.headers["content-type"]) == (200, "text/vtt; charset=utf-8")
    places = re.findall(r"^(.*)#xywh=(\d+),(\d+),(\d+),(\d+)$", track.text, re.MULTILINE)
    assert len(places) == 2
    sheet = await rest.get(str(track.url.join(places[0][0])))
    assert (sheet.status_code, sheet.headers["content-type"]) == (200, "image/jpeg")
    width, height = Image.open(BytesIO(sheet.content)).size
    assert all(int(x) + int(w) <= width and int(y) + int(h) <= height for _, x, y, w, h in places)
    known = await rest.get(f"{film}/sprite", headers={"If-None-Match": sheet.headers["etag"]})
    assert known.status_code == 304
    peaks = await rest.get(f"{song}/waveform.json")
    assert (peaks.json()["version"], peaks.json()["channels"]) == (2, 1)
    picture = await rest.get(f"{song}/waveform")
    assert Image.open(BytesIO(picture.content)).format == "PNG"
    preview = await rest.get(f"{film}/preview")
    assert Image.open(BytesIO(preview.content)).size == (320, 180)
    for wrong in (f"{film}/waveform", f"{song}/sprite", f"{song}/sprite.vtt"):
        answer = await rest.get(wrong)
        assert (answer.status_code, "another kind" in answer.json()["detail"]) == (404, True)
