"""Originals are sent in pieces by tus, over real HTTP, and become items."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateways import real_gateway
from tests.support.media import quadrants, video
from tests.support.upload_sites import LIMIT, PIECE, TUS, UploadSite, client, pairs
from tests.support.warm import WarmProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def site(upload_site: UploadSite) -> UploadSite:
    return upload_site


def jpeg(folder: Path, width: int = 640) -> bytes:
    quadrants(width, 480).save(folder / "made.jpg")
    return (folder / "made.jpg").read_bytes()


async def cut_after(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield pieces, then fail as a connection does."""
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)
    raise ConnectionError


async def test_server_says_what_it_speaks(site: UploadSite) -> None:
    answer = await site.http.options("/api/media/upload")
    assert answer.status_code == 204
    said = {key: answer.headers[f"tus-{key}"] for key in ("version", "resumable", "max-size")}
    assert said == {"version": "1.0.0", "resumable": "1.0.0", "max-size": str(LIMIT)}
    known = {"creation", "creation-with-upload", "termination", "expiration", "checksum"}
    assert set(answer.headers["tus-extension"].split(",")) == known
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"


async def test_video_sent_in_pieces_becomes_an_item_with_pictures(site: UploadSite, tmp_path: Path) -> None:
    video(tmp_path / "film.mp4")
    content = (tmp_path / "film.mp4").read_bytes()
    created = await site.create("film.mp4", len(content), folder="trip/day 1", collection="iceland")
    path = created.headers["location"]
    assert (created.headers["tus-resumable"], created.headers["upload-offset"]) == ("1.0.0", "0")
    assert created.headers["upload-expires"].endswith("GMT")
    middle = len(content) // 2
    first = await site.patch(path, 0, content[:middle])
    assert first.headers["upload-offset"] == str(middle)
    assert (await site.offset(path), site.hidden() != []) == (middle, True)
    assert not (site.folder / "trip/day 1/film.mp4").exists()
    last = await site.patch(path, middle, content[middle:])

    assert (site.folder / "trip/day 1/film.mp4").read_bytes() == content
    assert site.hidden() == []
    view = (await site.http.get(path)).json()
    digest = hashlib.sha256(content).hexdigest()
    assert (view["path"], view["complete"], view["sha256"]) == ("trip/day 1/film.mp4", True, digest)
    assert (view["itemId"], view["jobIds"]) == (
        last.headers["callsheet-item"],
        [last.headers["callsheet-jobs"]],
    )
    item = view["item"]
    assert (item["kind"], item["root"], item["collection"]) == ("video", "uploads", "iceland")
    thumbnail = await site.http.get(f"/api/media/items/{item['id']}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    stream = await site.http.get(f"/api/media/items/{item['id']}/stream")
    assert stream.content == content
    assert await site.offset(path) == len(content)


async def test_answer_waits_for_the_pictures_where_asked(site: UploadSite, tmp_path: Path) -> None:
    content = jpeg(tmp_path)
    headers = {**PIECE, "Upload-Length": str(len(content)), "Upload-Metadata": pairs(filename="waited.jpg")}
    answer = await site.http.post("/api/media/upload?wait=true", headers=headers, content=content)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["complete"], len(view["jobIds"])) == (True, 2)
    assert {one["kind"] for one in view["item"]["derivatives"]} >= {"thumbnail", "thumbhash"}
    for job_id in view["jobIds"]:
        assert (await site.http.get(f"/api/media/jobs/{job_id}")).json()["status"] == "completed"


async def test_cut_connection_goes_on_where_it_was(site: UploadSite, tmp_path: Path) -> None:
    content = jpeg(tmp_path) + bytes(3 * 1024 * 1024)
    path = await site.begin("cut.jpg", len(content))
    sent = 2 * 1024 * 1024
    with pytest.raises(ConnectionError):
        await site.patch(path, 0, cut_after(content[:sent]))
    await site.until(path, sent)
    await site.patch(path, sent, content[sent:])
    assert (site.folder / "cut.jpg").read_bytes() == content


async def test_upload_goes_on_at_another_gateway_when_one_is_killed(site: UploadSite, tmp_path: Path) -> None:
    content = jpeg(tmp_path) + bytes(range(256)) * 4096
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    async with real_gateway(tmp_path / "first", **site.settings) as (process, port), client(port) as http:
        first = site._replace(http=http)
        path = await first.begin("moved.jpg", len(content))
        await first.patch(path, 0, content[:1000])
        await killed(process)
    async with real_gateway(tmp_path / "second", **site.settings) as (_, port), client(port) as http:
        second = site._replace(http=http)
        assert await second.offset(path) == 1000
        await second.patch(path, 1000, content[1000:5000])
        assert await site.offset(path) == 5000
    await site.patch(path, 5000, content[5000:])
    view = (await site.http.get(path)).json()
    assert view["sha256"] == hashlib.sha256(content).hexdigest()
    assert (site.folder / "moved.jpg").read_bytes() == content


async def killed(process: WarmProcess) -> None:
    process.kill()
    await process.wait()


def shorten(record: Path) -> None:
    """Make an upload whole that lacks a byte, as if its gateway had died when the last one had come."""
    known = json.loads(record.read_text())
    record.write_text(json.dumps(known | {"length": known["length"] - 1}))


async def test_whole_upload_whose_gateway_died_before_it_was_placed_is_placed_and_read(
    site: UploadSite, tmp_path: Path
) -> None:
    content = jpeg(tmp_path)
    path = await site.begin("late.jpg", len(content) + 1)
    await site.patch(path, 0, content)
    shorten(site.folder / ".uploads" / f"{path.rpartition('/')[2]}.json")
    while site.hidden():  # noqa: ASYNC110 -- a gateway's sweep takes them away
        await asyncio.sleep(0.02)
    view = (await site.http.get(path)).json()
    assert (view["path"], view["offset"]) == ("late.jpg", len(content))


HOSTILE = {
    "../../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "a\0b.jpg": "a_b.jpg",
    "/abs/olute.jpg": "olute.jpg",
    ".hidden": "hidden",
    "..": "upload",
    "": "upload",
    "CON.txt": "_CON.txt",
    "what?<is>:it|.jpg": "what__is__it_.jpg",
    "l\n\x1b[31mine.jpg": "l__[31mine.jpg",
    "\u202egpj.exe": "_gpj.exe",
    "e\u0301t\u00e9 \U0001f3d4.jpg": "\u00e9t\u00e9 \U0001f3d4.jpg",
    "trailing. . .": "trailing",
    "x.partial": "x.partial_",
    f"{'n' * 300}.jpg": f"{'n' * 195}.jpg",
}


async def test_names_of_strangers_are_made_harmless(site: UploadSite) -> None:
    lying = [(await site.whole(name, b"plain", folder="hostile"))["path"] for name in HOSTILE]
    seen: dict[str, int] = {}
    for wanted, path in zip(HOSTILE.values(), lying, strict=True):
        seen[wanted] = seen.get(wanted, 0) + 1
        assert path == f"hostile/{wanted}{'-2' if seen[wanted] > 1 else ''}".replace(".jpg-2", "-2.jpg")
        assert (site.folder / str(path)).read_bytes() == b"plain"
    names = sorted(path.name for path in (site.folder / "hostile").iterdir())
    assert len(names) == len(HOSTILE)


@pytest.mark.parametrize(
    "folder", ["../up", "a/../b", "/abs", ".hid/x", "a\0b", "x/" * 70, "y" * 300, "a\\b"]
)
async def test_folder_that_leads_elsewhere_is_refused(site: UploadSite, folder: str) -> None:
    answer = await site.refused(422, "x.jpg", 1, folder=folder)
    assert answer.json()["errors"][0]["field"] == "folder"
    assert answer.headers["tus-resumable"] == "1.0.0"


async def test_link_in_the_root_is_not_followed(site: UploadSite, tmp_path: Path) -> None:
    (site.folder / "link").symlink_to(tmp_path)
    answer = await site.refused(409, "x.jpg", 1, folder="link")
    assert "x.jpg" in answer.json()["detail"]
    assert [*tmp_path.iterdir()] == []  # noqa: ASYNC240 -- nothing else runs


async def test_files_of_one_name_never_replace_one_another(site: UploadSite) -> None:
    contents = [f"content {number}".encode() for number in range(4)]
    paths = [await site.begin("same.txt", len(content), folder="same") for content in contents]
    await asyncio.gather(*(site.patch(path, 0, one) for path, one in zip(paths, contents, strict=True)))
    lying = {path.name: path.read_bytes() for path in (site.folder / "same").iterdir()}
    assert sorted(lying) == ["same-2.txt", "same-3.txt", "same-4.txt", "same.txt"]
    assert sorted(lying.values()) == contents


async def test_wrong_offset_and_wrong_headers_are_refused_and_change_nothing(site: UploadSite) -> None:
    path = await site.begin("strict.txt", 10)
    await site.patch(path, 0, b"01234")
    for offset in (0, 4, 6):
        await site.patch(path, offset, b"xxxxx", status=409)
    await site.patch(path, 5, b"567890", status=413)
    await site.patch(path, 5, b"56789", status=415, Content_Type="text/plain")
    answer = await site.patch(path, 5, b"56789", status=412, Tus_Resumable="0.2.2")
    assert answer.headers["tus-version"] == "1.0.0"
    for wrong in ("", "-1", "five", "1e3"):
        headers = {**PIECE, "Upload-Offset": wrong}
        assert (await site.http.patch(path, headers=headers, content=b"x")).status_code == 400
    assert await site.offset(path) == 5
    await site.patch(path, 5, b"56789")
    assert (site.folder / "strict.txt").read_bytes() == b"0123456789"


async def test_piece_that_is_not_what_its_checksum_says_is_forgotten(site: UploadSite) -> None:
    path = await site.begin("checked.txt", 6)
    good = base64.b64encode(hashlib.sha1(b"abc", usedforsecurity=False).digest()).decode()
    await site.patch(path, 0, b"abX", status=460, Upload_Checksum=f"sha1 {good}")
    assert await site.offset(path) == 0
    await site.patch(path, 0, b"abc", status=400, Upload_Checksum="md5 x")
    await site.patch(path, 0, b"abc", Upload_Checksum=f"sha1 {good}")
    again = base64.b64encode(hashlib.sha256(b"def").digest()).decode()
    await site.patch(path, 3, b"def", Upload_Checksum=f"sha256 {again}")
    assert (site.folder / "checked.txt").read_bytes() == b"abcdef"


async def test_newer_request_takes_over_from_one_that_fell_silent(site: UploadSite) -> None:
    path = await site.begin("twice.bin", 3 * 1024 * 1024)
    go_on = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield bytes(1024 * 1024)
        await go_on.wait()
        yield bytes(2 * 1024 * 1024)

    first = asyncio.create_task(site.patch(path, 0, silent(), status=423))
    await site.until(path, 1024 * 1024)
    await site.patch(path, 1024 * 1024, bytes(2 * 1024 * 1024))
    go_on.set()
    await first
    assert (site.folder / "twice.bin").stat().st_size == 3 * 1024 * 1024


async def test_client_that_falls_silent_is_told_to_go_on(site: UploadSite) -> None:
    path = await site.begin("silent.bin", 10)
    go_on = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield b"01234"
        await go_on.wait()

    sending = asyncio.create_task(site.patch(path, 0, silent(), status=503))
    await site.until(path, 5)
    go_on.set()
    await sending
    await site.patch(path, 5, b"56789")


async def test_upload_that_is_ended_leaves_nothing_and_an_original_stays(
    site: UploadSite,
) -> None:
    path = await site.begin("ended.txt", 10)
    await site.patch(path, 0, b"01234")
    before = site.hidden()
    assert (await site.http.delete(path, headers=TUS)).status_code == 204
    assert len(before) - len(site.hidden()) == 2
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = await site.http.request(method, path, headers={**PIECE, "Upload-Offset": "5"})
        assert answer.status_code == 404
    view = await site.whole("stays.txt", b"stays")
    answer = await site.http.delete(f"/api/media/upload/{view['id']}", headers=TUS)
    assert (answer.status_code, (site.folder / "stays.txt").exists()) == (409, True)


async def test_what_is_too_much_is_refused_before_a_byte_is_sent(site: UploadSite) -> None:
    before = site.hidden()
    await site.refused(413, "huge.bin", LIMIT + 1)
    paths = [await site.begin("half.bin", LIMIT - 1000) for _ in range(2)]
    answer = await site.refused(507, "more.bin", LIMIT)
    assert "CALLSHEET_UPLOADS_BYTES_MAX" in answer.json()["detail"]
    for path in paths:
        assert (await site.http.delete(path, headers=TUS)).status_code == 204
    assert site.hidden() == before


@pytest.mark.parametrize(
    ("root", "why"),
    [
        ("library", "is read-only for this gateway; set its writable to true in CALLSHEET_ROOTS"),
        ("bucket", "is a bucket, which takes no uploads"),
        ("nowhere", "is not reached by this gateway; add it to CALLSHEET_ROOTS"),
        ("derivatives", "holds what is made from originals"),
    ],
)
async def test_root_that_takes_no_uploads_says_why(site: UploadSite, root: str, why: str) -> None:
    answer = await site.refused(409, "x.jpg", 1, root=root)
    detail = answer.json()["detail"]
    assert why in detail
    assert "(uploads)" in detail


async def test_upload_without_a_new_byte_for_too_long_is_given_up(site: UploadSite, tmp_path: Path) -> None:
    settings = site.settings | {"upload_expires_s": "1"}
    async with real_gateway(tmp_path, **settings) as (_, port), client(port) as http:
        other = site._replace(http=http)
        before = site.hidden()
        path = await other.begin("forgotten.txt", 10)
        await other.patch(path, 0, b"01234")
        while site.hidden() != before:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.05)
        assert (await http.head(path, headers=TUS)).status_code == 404


async def test_nothing_at_all_is_an_upload_too(site: UploadSite) -> None:
    answer = await site.create("empty.txt", 0)
    assert answer.json()["complete"] is True
    assert (site.folder / "empty.txt").read_bytes() == b""


async def test_upload_needs_a_credential_and_the_protocol(site: UploadSite) -> None:
    headers = {**TUS, "Upload-Length": "1", "Authorization": "Bearer wrong"}
    answer = await site.http.post("/api/media/upload", headers=headers)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (401, "1.0.0")
    assert (await site.http.post("/api/media/upload", headers={"Upload-Length": "1"})).status_code == 412
    assert (await site.http.post("/api/media/upload", headers=TUS)).status_code == 400
    bad = {**TUS, "Upload-Length": "1", "Upload-Metadata": "filename ???"}
    assert (await site.http.post("/api/media/upload", headers=bad)).status_code == 400
