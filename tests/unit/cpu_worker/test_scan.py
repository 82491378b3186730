"""Scans over real folders and real decoders."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from callsheet_cpu_worker import scan_care, scan_rows
from callsheet_cpu_worker.processors.scan import PublicScan, Scan
from callsheet_cpu_worker.scan_plan import FRAME_BYTES, ROW_BYTES, ROW_LIMIT, UNREAD, one_write, plan
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from callsheet.errors import BadInputError, LeaseLostError, TransientError
from callsheet.params import ScanParams
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState, MediaKind, UpsertItemsRequest
from callsheet.worker.storage.library import FoundFile
from tests.support.attempts import Desk, Shelf, desk
from tests.support.media import first_part, picture_with_orientation, png_bomb, quadrants, sound, video
from tests.support.rights import without_overrides


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "films").mkdir(parents=True)
    picture_with_orientation(folder / "photo.jpg", 6)
    video(folder / "films" / "film.mp4")
    sound(folder / "tone.mp3")
    first_part(folder / "films" / "film.mp4", folder / "films" / "half.mp4")
    (folder / "films" / "list.mp4").write_text("ffconcat version 1.0\nfile film.mp4\n")
    (folder / "empty.png").touch()
    (folder / "README.txt").write_text("words")
    (folder / "archive.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    return folder


async def scan(at: Desk, **params: object) -> dict[str, object]:
    outcome = await Scan().process(ScanParams.model_validate(params), at.context())
    at.library.take(outcome)
    return dict(outcome.result)


async def test_scan_lists_media_and_names_what_is_broken(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        outcome = await Scan().process(ScanParams(), at.context())
        assert outcome.result == {
            "found": 8,
            "new": 6,
            "changed": 0,
            "unchanged": 0,
            "broken": 3,
            "missing": 0,
            "passedOver": 0,
        }
        assert at.library.paths == [
            "empty.png",
            "films/film.mp4",
            "films/half.mp4",
            "films/list.mp4",
            "photo.jpg",
            "tone.mp3",
        ]
        photo = at.library.at("photo.jpg").facts
        assert (photo.kind, photo.width, photo.height, photo.rotation) == (
            MediaKind.MEDIA_KIND_IMAGE,
            240,
            160,
            90,
        )
        assert (photo.size_bytes, len(photo.identity)) == ((library / "photo.jpg").stat().st_size, 64)
        reasons = {
            path: at.library.at(path).facts.reason
            for path in ("empty.png", "films/half.mp4", "films/list.mp4")
        }
        assert len(set(reasons.values())) == 3
        assert all(reason in at.diary.text for reason in reasons.values())
        assert at.diary.percents[-1] == 100
        (job,) = at.queue.submitted
        assert job.type == "derivatives_generate"
        assert sorted(at.queue.items()) == sorted(
            at.library.at(path).id for path in ("photo.jpg", "films/film.mp4", "tone.mp3")
        )


async def test_second_scan_looks_at_nothing_that_is_as_it_was(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        for path in ("README.txt", "archive.zip"):
            (library / path).unlink()
        await at.children.__aexit__(None, None, None)  # whoever decodes now fails
        again = await scan(at)
        assert (again["found"], again["unchanged"], again["broken"]) == (6, 6, 3)
        assert (again["new"], again["changed"], again["missing"], again["passedOver"]) == (0, 0, 0, 0)


async def test_unchanged_files_are_written_once_more_for_a_collection_that_they_are_not_in(
    tmp_path: Path, library: Path
) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        await at.children.__aexit__(None, None, None)  # whoever decodes now fails
        at.library.at("photo.jpg").collection = "trip"
        at.library.writes.clear()
        at.collection = "trip"
        again = await scan(at)
        assert (again["unchanged"], sum(at.library.writes)) == (6, 5)


async def test_scan_that_skips_nothing_looks_again(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        at.library.at("photo.jpg").facts.width = 1
        again = await scan(at, skipExisting=False)
        assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 6)
        assert at.library.at("photo.jpg").facts.width == 240


async def test_changed_file_is_looked_at_and_gets_new_pictures(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        at.queue.items()
        before = at.library.at("photo.jpg").facts.identity
        quadrants(400, 100).save(library / "photo.jpg")
        video(library / "films" / "half.mp4")
        outcome = await Scan().process(ScanParams(), at.context())
        assert (outcome.result["changed"], outcome.result["unchanged"]) == (2, 4)
        assert at.library.at("photo.jpg").facts.identity != before
        assert at.library.at("films/half.mp4").facts.state == ItemState.ITEM_STATE_OK
        asked = set(at.queue.items())
        assert {at.library.at("photo.jpg").id, at.library.at("films/half.mp4").id} <= asked


async def test_vanished_file_is_marked_and_comes_back(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        kept = (library / "photo.jpg").read_bytes()
        (library / "photo.jpg").unlink()
        assert (await scan(at))["missing"] == 1
        assert at.library.at("photo.jpg").facts.state == ItemState.ITEM_STATE_MISSING
        assert (await scan(at))["missing"] == 0
        (library / "photo.jpg").write_bytes(kept)
        assert (await scan(at))["changed"] == 1
        assert at.library.at("photo.jpg").facts.state == ItemState.ITEM_STATE_OK


async def test_folder_that_vanished_takes_its_items_with_it(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        shutil.rmtree(library / "films")
        assert (await scan(at, path="films"))["missing"] == 3
        assert at.library.at("photo.jpg").facts.state == ItemState.ITEM_STATE_OK


async def test_unmounted_disk_deletes_nothing(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        library.rename(tmp_path / "elsewhere")  # noqa: ASYNC240 -- takes no time
        with pytest.raises(TransientError, match="mount it"):
            await scan(at)
        library.mkdir()  # noqa: ASYNC240 -- takes no time
        assert (await scan(at))["missing"] == 0
        assert "mounted" in at.diary.text
        assert at.library.at("photo.jpg").facts.state == ItemState.ITEM_STATE_OK


async def test_folder_that_cannot_be_entered_deletes_nothing(tmp_path: Path, library: Path) -> None:
    with without_overrides():
        async with desk(tmp_path, library) as at:
            await scan(at)
            (library / "films").chmod(0)
            try:
                assert (await scan(at))["missing"] == 0
                assert "films" in at.diary.text
            finally:
                (library / "films").chmod(0o755)


async def test_single_file_can_be_scanned(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        assert (await scan(at, path="films/film.mp4"))["new"] == 1
        assert at.library.paths == ["films/film.mp4"]
        assert (await scan(at, path="films/film.mp4"))["unchanged"] == 1
        (library / "films" / "film.mp4").unlink()
        assert (await scan(at, path="films/film.mp4"))["missing"] == 1
        with pytest.raises(BadInputError, match=r"library/films/film\.mp4: there is no such folder or file"):
            await scan(at, path="films/film.mp4")


async def test_scan_of_what_never_was_fails_with_one_sentence(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        with pytest.raises(BadInputError) as caught:
            await scan(at, path="holidays/1999")
        assert (
            caught.value.message
            == "library/holidays/1999: there is no such folder or file; is the path right?"
        )
        (library / "holidays").mkdir()
        assert (await scan(at, path="holidays"))["found"] == 0


async def test_directory_type_is_a_folder_below_library_or_the_root(tmp_path: Path, library: Path) -> None:
    (library / "library" / "reels").mkdir(parents=True)
    quadrants().save(library / "library" / "reels" / "reel.png")
    async with desk(tmp_path, library) as at:
        assert (await scan(at, directoryType="reels"))["found"] == 1
        assert (await scan(at, directoryType="stories"))["found"] == 9


async def test_path_is_the_same_however_it_is_written(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        assert (await scan(at, path="films"))["new"] == 3
        for path in ("./films", "films/", "films/."):
            assert (await scan(at, path=path))["unchanged"] == 3
        assert (await scan(at))["new"] == 3
        assert (await scan(at, path="."))["unchanged"] == 6


@pytest.mark.parametrize("path", ["../derivatives", "films/../..", "link", "a\\..\\b", "x/" * 1_500])
async def test_scan_stays_in_its_root(tmp_path: Path, library: Path, path: str) -> None:
    (library / "link").symlink_to(tmp_path)
    async with desk(tmp_path, library) as at:
        with pytest.raises(BadInputError):
            await scan(at, path=path)


async def test_public_scan_shows_what_it_finds_without_looking_again(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        await scan(at)
        assert not at.library.at("photo.jpg").facts.public
        outcome = await PublicScan().process(ScanParams(), at.context())
        assert outcome.result["unchanged"] == 6
        assert at.library.at("photo.jpg").facts.public
        await scan(at, skipExisting=False)
        assert at.library.at("photo.jpg").facts.public


async def test_bomb_among_the_files_stops_nothing(tmp_path: Path, library: Path) -> None:
    png_bomb(library / "bomb.png")
    async with desk(tmp_path, library) as at:
        assert (await scan(at))["broken"] == 4
        assert "megapixels" in at.library.at("bomb.png").facts.reason


@dataclass(slots=True)
class LostShelf(Shelf):
    """A library that refuses writes, as it does when another lease holds the job."""

    @override
    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        raise LeaseLostError("another lease holds the job")


async def test_scan_whose_lease_is_lost_ends(tmp_path: Path, library: Path) -> None:
    async with desk(tmp_path, library) as at:
        at.library = LostShelf()
        with pytest.raises(LeaseLostError):
            await scan(at)


@dataclass(slots=True)
class SlowShelf(Shelf):
    """A library that is still writing some rows when everything has been looked at."""

    place: Desk | None = None

    @override
    async def upsert(self, items: Sequence[ItemFacts], *, missing_ids: Sequence[str] = ()) -> list[str]:
        while self.place is not None and 100 not in self.place.diary.percents:  # noqa: ASYNC110 -- the scan says so
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        return await Shelf.upsert(self, items, missing_ids=missing_ids)


async def test_rows_that_are_being_written_at_the_end_are_not_lost(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_rows, "FLUSH_INTERVAL_S", 0.001)
    async with desk(tmp_path, library) as at:
        at.library = SlowShelf(place=at)
        assert (await scan(at))["new"] == 6
        assert len(at.library.writes) > 1
        assert len(at.library.paths) == 6
        assert len(at.queue.items()) == 3


names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(found=names, known=names, touched=st.sets(st.sampled_from("abcdefgh")), skip=st.booleans())
def test_every_file_and_item_has_exactly_one_fate(
    *, found: list[str], known: list[str], touched: set[str], skip: bool
) -> None:
    files = [FoundFile(path=name, size_bytes=1, mtime_ns=2 if name in touched else 1) for name in found]
    items = [
        Item(id=name, facts=ItemFacts(path=name, size_bytes=1, mtime_ns=1, state=ItemState.ITEM_STATE_OK))
        for name in known
    ]
    planned = plan(files, items, [], skip_existing=skip)
    probed = {one.path for one in planned.to_probe}
    unchanged = {one.facts.path for one in planned.unchanged}
    vanished = {one.facts.path for one in planned.vanished}
    assert probed | unchanged == set(found)
    assert not probed & unchanged
    assert vanished == set(known) - set(found)
    assert unchanged == (set(found) & set(known) - touched if skip else set())


def test_nothing_is_said_of_what_lies_below_a_folder_that_could_not_be_entered() -> None:
    items = [
        Item(id=path, facts=ItemFacts(path=path, state=ItemState.ITEM_STATE_OK))
        for path in ("a/x", "ab/x", "b")
    ]
    assert [one.id for one in plan([], items, ["a"], skip_existing=True).vanished] == ["ab/x", "b"]
    assert plan([], items, [""], skip_existing=True).vanished == []


@given(st.lists(st.integers(1, 120_000), min_size=1, max_size=60))
def test_one_write_takes_as_many_rows_as_fit_one_message(sizes: list[int]) -> None:
    rows = [ItemFacts(extra_json="y" * size) for size in sizes]

    count = one_write(rows)

    assert count == 1 or UpsertItemsRequest(items=rows[:count]).ByteSize() <= ROW_BYTES
    one_more = sum(row.ByteSize() + FRAME_BYTES for row in rows[: count + 1])
    assert count == len(rows) or one_more > ROW_BYTES


def test_one_write_takes_no_more_than_a_batch_and_at_least_one_row() -> None:
    assert one_write([ItemFacts(path="x")] * 1500) == ROW_LIMIT
    assert one_write([ItemFacts(extra_json="y" * ROW_BYTES)]) == 1


async def test_attempts_after_the_first_name_each_file_before_a_decoder_reads_it(
    tmp_path: Path, library: Path
) -> None:
    async with desk(tmp_path, library) as at:
        await Scan().process(ScanParams(path="photo.jpg"), at.context())
        assert at.library.in_hand == []

        outcome = await Scan().process(ScanParams(), at.context(attempt=2))

        assert sorted(at.library.in_hand) == [path for path in at.library.paths if path != "photo.jpg"]
        assert (outcome.result["new"], outcome.result["broken"]) == (5, 3)
        assert at.library.at("films/film.mp4").facts.state == ItemState.ITEM_STATE_OK


async def test_care_ends_where_no_attempt_before_can_have_read(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_care, "CAREFUL_FILES", 2)
    async with desk(tmp_path, library) as at:
        await Scan().process(ScanParams(), at.context(attempt=2))
        assert len(at.library.in_hand) == 2
        await Scan().process(ScanParams(skip_existing=False), at.context(attempt=2))
        assert len(at.library.in_hand) == 2 + 3  # all but the broken ones, which are left alone


@given(
    state=st.sampled_from([ItemState.ITEM_STATE_OK, ItemState.ITEM_STATE_BROKEN]),
    unread=st.booleans(),
    skip_existing=st.booleans(),
    skip_broken=st.booleans(),
)
def test_file_is_left_alone_only_where_it_was_read_and_that_is_wanted(
    state: ItemState.ValueType, *, unread: bool, skip_existing: bool, skip_broken: bool
) -> None:
    broken = state == ItemState.ITEM_STATE_BROKEN
    facts = ItemFacts(path="a", state=state, size_bytes=1, mtime_ns=2, reason=UNREAD if unread else "")
    file = FoundFile(path="a", size_bytes=1, mtime_ns=2)

    planned = plan([file], [Item(facts=facts)], [], skip_existing=skip_existing, skip_broken=skip_broken)

    left_alone = not (broken and unread) and (skip_existing or (skip_broken and broken))
    assert [list(planned.to_probe), len(planned.unchanged)] == ([[], 1] if left_alone else [[file], 0])
