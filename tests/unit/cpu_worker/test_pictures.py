"""Derivatives, thumbnails and verdicts over real files and real decoders."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from callsheet_cpu_worker import pictures
from callsheet_cpu_worker.processors.derivatives_generate import DerivativesGenerate
from callsheet_cpu_worker.processors.scan import Scan
from callsheet_cpu_worker.processors.thumbnail_generate import ThumbnailGenerate
from callsheet_cpu_worker.processors.validate import Validate
from callsheet_cpu_worker.scan_plan import lacks_thumbnail
from PIL import Image

from callsheet.errors import BadInputError, TransientError
from callsheet.params import (
    DerivativeKind,
    DerivativesGenerateParams,
    ScanParams,
    ThumbnailGenerateParams,
    ValidateParams,
)
from callsheet.v1.job_pb2 import FailureKind
from callsheet.v1.library_service_pb2 import ItemState
from callsheet.worker.decode.works import Picture, Rendered
from callsheet.worker.endings import failed
from callsheet.worker.processor import BrokenMediaError
from tests.support.attempts import Desk, desk, library, scanned
from tests.support.bombs import inflating_page
from tests.support.media import corners, first_part, picture_with_orientation, quadrants, sound, video
from tests.support.processes import until


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "library"
    folder.mkdir()
    picture_with_orientation(folder / "photo.jpg", 8)
    video(folder / "film.mp4")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile film.mp4\n")
    async with desk(tmp_path, folder) as one:
        one.library.take(await Scan().process(ScanParams(), one.context()))
        yield one


def everything(at: Desk, *, force: bool = False) -> DerivativesGenerateParams:
    return DerivativesGenerateParams(item_ids=[uuid.UUID(one) for one in at.library.rows], force=force)


def only(at: Desk, path: str) -> uuid.UUID:
    return uuid.UUID(at.library.at(path).id)


async def test_every_item_gets_thumbnail_preview_and_thumbhash(at: Desk) -> None:
    outcome = await DerivativesGenerate().process(everything(at), at.context())
    assert outcome.result == {"made": 2, "skipped": 1, "broken": 0, "failed": 0, "missing": 0}
    at.library.take(outcome)
    photo = at.library.at("photo.jpg")
    assert sorted(one.facts.kind for one in photo.derivatives) == ["preview", "thumbhash", "thumbnail"]
    for one in photo.derivatives:
        assert one.facts.source_identity == photo.facts.identity
        if one.facts.path:
            image = Image.open(at.derivatives / one.facts.path)
            image.load()
            assert image.size == (one.facts.width, one.facts.height)
            assert corners(image) == "RGBW"
            assert one.facts.size_bytes == (at.derivatives / one.facts.path).stat().st_size
            assert "0000000000000002" in one.facts.path
        else:
            assert 0 < len(one.facts.inline) <= 25
    assert len(at.files()) == 4
    assert not lacks_thumbnail(photo)


async def test_video_gets_a_sheet_for_scrubbing_only_where_it_is_asked_for(at: Desk) -> None:
    film, photo = only(at, "film.mp4"), only(at, "photo.jpg")
    asked = DerivativesGenerateParams(item_ids=[film, photo], kinds=(DerivativeKind.SPRITE,))
    outcome = await DerivativesGenerate().process(asked, at.context())
    assert (outcome.result["made"], outcome.result["skipped"]) == (1, 1)
    at.library.take(outcome)
    sheet, track = (one.facts for one in at.library.at("film.mp4").derivatives)
    assert (sheet.kind, sheet.media_type, track.kind, track.media_type) == (
        "sprite", "image/jpeg", "sprite_track", "text/vtt",
    )  # fmt: skip
    with Image.open(at.derivatives / sheet.path) as image:
        assert image.size == (sheet.width, sheet.height) == (320, 90)
    assert (at.derivatives / track.path).read_text().count("sprite#xywh=") == 2
    again = await DerivativesGenerate().process(asked, at.context())
    assert (again.result["made"], again.result["skipped"]) == (0, 2)
    one = await ThumbnailGenerate().process(ThumbnailGenerateParams(video_id=film, sprite=True), at.context())
    assert [row.kind for row in one.derivatives] == ["thumbnail"]
    with pytest.raises(BadInputError, match=r"sprite: photo\.jpg is no video"):
        await ThumbnailGenerate().process(ThumbnailGenerateParams(video_id=photo, sprite=True), at.context())


async def test_recording_gets_a_waveform_and_its_peaks(at: Desk, tmp_path: Path) -> None:
    sound(tmp_path / "library" / "song.mp3")
    at.library.take(await Scan().process(ScanParams(), at.context()))
    asked = DerivativesGenerateParams(item_ids=[only(at, "song.mp3")])
    at.library.take(await DerivativesGenerate().process(asked, at.context()))
    made = {one.facts.kind: one.facts for one in at.library.at("song.mp3").derivatives}
    assert sorted(made) == ["peaks", "preview", "thumbnail", "waveform"]
    with Image.open(at.derivatives / made["waveform"].path) as image:
        assert (image.format, image.size) == ("PNG", (1600, 400))
    assert b'"version":2' in (at.derivatives / made["peaks"].path).read_bytes()
    again = await DerivativesGenerate().process(asked, at.context())
    assert again.result["skipped"] == 1


async def test_what_is_there_is_not_made_again_unless_forced(at: Desk) -> None:
    at.library.take(await DerivativesGenerate().process(everything(at), at.context()))
    before = at.files()
    again = await DerivativesGenerate().process(everything(at), at.context())
    assert (again.result["made"], again.result["skipped"], at.files()) == (0, 3, before)
    forced = await DerivativesGenerate().process(everything(at, force=True), at.context())
    assert forced.result["made"] == 2
    assert len(at.files()) == 8


async def test_broken_item_is_told_and_stops_no_other(at: Desk, tmp_path: Path) -> None:
    damaged(tmp_path / "library" / "photo.jpg")
    at.library.take(await Scan().process(ScanParams(), at.context()))
    assert at.library.at("photo.jpg").facts.state == ItemState.ITEM_STATE_OK
    outcome = await DerivativesGenerate().process(everything(at), at.context())
    assert (outcome.result["made"], outcome.result["broken"]) == (1, 1)
    (broken,) = outcome.broken
    assert broken.item_id == at.library.at("photo.jpg").id
    assert "PNG picture is damaged" in broken.reason or "truncated" in broken.reason
    assert broken.source_identity == at.library.at("photo.jpg").facts.identity
    assert "photo.jpg" in at.diary.text


async def test_file_that_changed_or_vanished_since_the_scan_is_skipped(at: Desk, tmp_path: Path) -> None:
    quadrants(50, 50).save(tmp_path / "library" / "photo.jpg")
    (tmp_path / "library" / "film.mp4").unlink()
    outcome = await DerivativesGenerate().process(everything(at), at.context())
    assert outcome.result == {"made": 0, "skipped": 3, "broken": 0, "failed": 0, "missing": 0}
    assert "changed since" in at.diary.text
    assert "no such file" in at.diary.text
    assert at.files() == []


async def test_attempts_after_the_first_say_what_they_touch_before_they_do(at: Desk) -> None:
    await DerivativesGenerate().process(everything(at), at.context())
    assert at.library.in_hand == []

    outcome = await DerivativesGenerate().process(everything(at), at.context(attempt=2))

    assert outcome.result["made"] == 2
    assert sorted(at.library.in_hand) == ["film.mp4", "photo.jpg"]


async def test_items_that_are_no_longer_there_are_counted(at: Desk) -> None:
    params = DerivativesGenerateParams(item_ids=[uuid.uuid4(), only(at, "photo.jpg")])
    outcome = await DerivativesGenerate().process(params, at.context())
    assert (outcome.result["made"], outcome.result["missing"]) == (1, 1)


async def test_output_that_cannot_be_written_leaves_nothing(at: Desk) -> None:
    (at.derivatives / "previews").write_bytes(b"in the way")
    with pytest.raises(BadInputError, match="previews"):
        await DerivativesGenerate().process(everything(at), at.context())
    assert at.files() == ["previews"]


async def test_cancelled_attempt_leaves_no_file(at: Desk, tmp_path: Path) -> None:
    for number in range(20):
        quadrants(900, 600 + number).save(tmp_path / "library" / f"{number}.png")
    at.library.take(await Scan().process(ScanParams(), at.context()))
    running = asyncio.create_task(DerivativesGenerate().process(everything(at), at.context()))
    await until(lambda: bool(at.files()))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert at.files() == []


async def test_thumbnail_of_an_instant_and_a_width(at: Desk) -> None:
    params = ThumbnailGenerateParams(video_id=only(at, "film.mp4"), timestamp=1.0, width=640)
    outcome = await ThumbnailGenerate().process(params, at.context())
    assert (outcome.result["width"], outcome.result["height"], outcome.result["cached"]) == (640, 360, False)
    (row,) = outcome.derivatives
    assert (row.kind, row.recipe) == ("thumbnail", "w640-t1000ms-v1")
    assert at.files() == [row.path]
    at.library.take(outcome)
    again = await ThumbnailGenerate().process(params, at.context())
    assert again.result == {**outcome.result, "cached": True}
    assert lacks_thumbnail(at.library.at("film.mp4"))


async def test_usual_thumbnail_fits_its_box(at: Desk) -> None:
    params = ThumbnailGenerateParams(video_id=only(at, "photo.jpg"))
    at.library.take(await ThumbnailGenerate().process(params, at.context()))
    assert not lacks_thumbnail(at.library.at("photo.jpg"))


async def test_thumbnail_that_cannot_be_made_says_why(at: Desk, tmp_path: Path) -> None:
    cases = [
        (ThumbnailGenerateParams(video_id=uuid.uuid4()), "videoId"),
        (ThumbnailGenerateParams(video_id=only(at, "film.mp4"), timestamp=99), "beyond the end"),
        (ThumbnailGenerateParams(video_id=only(at, "photo.jpg"), timestamp=1), "no video"),
        (ThumbnailGenerateParams(video_id=only(at, "list.mp4")), "playlist"),
    ]
    for params, says in cases:
        with pytest.raises(BadInputError, match=says):
            await ThumbnailGenerate().process(params, at.context())
    quadrants().save(tmp_path / "library" / "photo.jpg")
    with pytest.raises(BadInputError, match="changed since"):
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "photo.jpg")), at.context()
        )
    (tmp_path / "library" / "film.mp4").unlink()
    with pytest.raises(BadInputError, match="no such file"):
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "film.mp4")), at.context()
        )
    at.library.at("film.mp4").facts.state = ItemState.ITEM_STATE_MISSING
    with pytest.raises(BadInputError, match="gone"):
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "film.mp4")), at.context()
        )
    assert at.files() == []


def damaged(path: Path) -> None:
    """Write a PNG whose header and end are well and whose middle is missing."""
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "PNG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-12:])


async def test_thumbnail_of_a_broken_file_marks_it_with_the_reason(at: Desk, tmp_path: Path) -> None:
    damaged(tmp_path / "library" / "photo.jpg")
    at.library.take(await Scan().process(ScanParams(), at.context()))
    photo = at.library.at("photo.jpg")
    with pytest.raises(BrokenMediaError, match=r"photo\.jpg: ") as caught:
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "photo.jpg")), at.context()
        )
    (marked,) = failed(caught.value).library.broken
    assert (marked.item_id, marked.source_identity) == (photo.id, photo.facts.identity)
    assert marked.reason in caught.value.message
    assert failed(caught.value).kind == FailureKind.FAILURE_KIND_BAD_INPUT


async def test_thumbnail_of_a_file_that_was_replaced_by_a_broken_one_marks_nothing(
    at: Desk, tmp_path: Path
) -> None:
    damaged(tmp_path / "library" / "photo.jpg")
    with pytest.raises(BadInputError, match="changed since") as caught:
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "photo.jpg")), at.context()
        )
    assert not failed(caught.value).HasField("library")


async def test_instant_in_a_damaged_part_is_the_fault_of_the_instant(at: Desk, tmp_path: Path) -> None:
    film = tmp_path / "library" / "film.mp4"
    video(
        film, seconds=10, codec=("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
    )
    content = bytearray(film.read_bytes())
    content[len(content) * 4 // 10 : len(content) * 6 // 10] = bytes(len(content) // 5)
    film.write_bytes(content)
    at.library.take(await Scan().process(ScanParams(), at.context()))
    with pytest.raises(BadInputError, match="timestamp: there is no picture at 5 s") as caught:
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "film.mp4"), timestamp=5.0), at.context()
        )
    assert not failed(caught.value).HasField("library")


async def test_check_shows_how_far_it_is(at: Desk, tmp_path: Path) -> None:
    video(tmp_path / "library" / "long.mp4", seconds=40, size="160x90")
    at.library.take(await Scan().process(ScanParams(), at.context()))
    params = ValidateParams(video_id=only(at, "long.mp4"), depth="decode")
    await Validate().process(params, at.context())
    shown = at.diary.percents
    assert shown[-1] == 100
    assert any(0 < one < 100 for one in shown)
    assert shown == sorted(shown)


@pytest.mark.parametrize("depth", ["probe", "demux", "decode"])
async def test_verdict_on_a_sound_file_is_ok(at: Desk, depth: str) -> None:
    at.library.at("film.mp4").facts.width = 1
    outcome = await Validate().process(
        ValidateParams(video_id=only(at, "film.mp4"), depth=depth), at.context()
    )
    assert (outcome.result["verdict"], outcome.result["reason"]) == ("ok", "")
    at.library.take(outcome)
    assert at.library.at("film.mp4").facts.width == 320


async def test_verdict_on_a_file_that_broke_marks_it(at: Desk, tmp_path: Path) -> None:
    film = tmp_path / "library" / "film.mp4"
    first_part(film, tmp_path / "half.mp4")
    film.write_bytes((tmp_path / "half.mp4").read_bytes())
    outcome = await Validate().process(ValidateParams(video_id=only(at, "film.mp4")), at.context())
    assert outcome.result["verdict"] == "truncated"
    at.library.take(outcome)
    facts = at.library.at("film.mp4").facts
    assert (facts.state, facts.width, facts.size_bytes) == (
        ItemState.ITEM_STATE_BROKEN,
        320,
        film.stat().st_size,
    )
    assert "truncated" in facts.reason
    video(film)
    at.library.take(await Validate().process(ValidateParams(video_id=only(at, "film.mp4")), at.context()))
    assert at.library.at("film.mp4").facts.state == ItemState.ITEM_STATE_OK


async def test_verdict_on_a_playlist_is_unsupported(at: Desk) -> None:
    outcome = await Validate().process(ValidateParams(video_id=only(at, "list.mp4")), at.context())
    assert outcome.result["verdict"] == "unsupported"


@pytest.mark.parametrize(
    ("sizes", "blob", "says"),
    [
        (((300, 200),), b"", "no whole JPEG"),
        (((300, 200),), b"\xff\xd8\xff\xd9", "no whole JPEG"),
        (
            ((400, 200),),
            b"\xff\xd8\xff\xc0\x00\x11\x08\x00\xc8\x01\x90" + bytes(12) + b"\xff\xd9",
            "larger than 300",
        ),
        ((), b"", "were wanted"),
    ],
)
def test_picture_that_is_not_what_was_asked_for_is_not_published(
    sizes: tuple[tuple[int, int], ...], blob: bytes, says: str
) -> None:
    wanted = [pictures.Wanted(kind="thumbnail", folder="t", recipe="r", picture=Picture(box=300))]
    made = pictures.Made(rendered=Rendered(identity="", sizes=sizes), blobs=[blob] if sizes else [])
    with pytest.raises(TransientError, match=says):
        pictures.check(wanted, made)


async def test_page_that_inflates_without_end_is_refused_by_its_cpu_time(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflating_page(library(at) / "page.pdf", megabytes=300)
    await scanned(at, "page.pdf")
    monkeypatch.setattr(pictures, "PAGE_CPU_S", 1)

    with pytest.raises(BrokenMediaError, match="more than 1 s of CPU time") as refused:
        await ThumbnailGenerate().process(
            ThumbnailGenerateParams(video_id=only(at, "page.pdf")), at.context()
        )

    assert [one.item_id for one in refused.value.broken] == [str(only(at, "page.pdf"))]
