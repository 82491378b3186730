"""Moves of real files between folders, roots and file systems; what is refused loses nothing."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from callsheet_cpu_worker.processors.move_to_library import MoveToLibrary
from typing_extensions import override

from callsheet.errors import (
    AttemptCancelledError,
    BadInputError,
    CapacityError,
    LeaseLostError,
    TransientError,
)
from callsheet.media.identity import END_BYTES, quick_identity
from callsheet.params import MoveToLibraryParams
from callsheet.service.settings import RootSettings
from callsheet.v1.job_pb2 import NewJob
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState, MediaKind
from callsheet.worker.processor import Outcome
from callsheet.worker.relocating import Reached, unheard
from callsheet.worker.sources import opened
from callsheet.worker.storage import renaming
from callsheet.worker.storage.library import Roots
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import Desk, Shelf, desk, scanned
from tests.support.folders import folder_of
from tests.support.media import video
from tests.support.small_disks import small_disk

ELSEWHERE = Path("/dev/shm")  # noqa: S108 -- another file system than that of temporary files
SCAN_LATER = 1_700_000_000_123_456_789


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as place:
        place.roots = Roots(
            {
                "library": RootSettings(path=tmp_path / "library", writable=True),
                "inner": RootSettings(path=tmp_path / "library/inbox", writable=True),
                "shown": RootSettings(path=tmp_path / "library"),
                "archive": RootSettings(path=tmp_path / "archive", writable=True),
            }
        )
        (tmp_path / "archive").mkdir()
        (tmp_path / "library/inbox").mkdir()
        yield place


@pytest.fixture
def far(place: Desk, tmp_path: Path) -> Iterator[Path]:
    """The root ``far``, in another file system."""
    if not os.access(ELSEWHERE, os.W_OK) or ELSEWHERE.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=ELSEWHERE, prefix="callsheet-test-") as folder:
        add_root(place, "far", Path(folder))
        yield Path(folder)


def add_root(place: Desk, name: str, path: Path) -> None:
    place.roots = Roots({**place.roots, name: RootSettings(path=path, writable=True)})


def library(place: Desk) -> Path:
    return folder_of(place.roots["library"])


async def filed(
    place: Desk, path: str = "inbox/a.bin", content: bytes = b"a" * 200_000, *, root: str = "library"
) -> Item:
    """Put a file into the library, and its item."""
    file = folder_of(place.roots[root]) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, ns=(SCAN_LATER, SCAN_LATER))
    facts = ItemFacts(root=root, path=path, kind=MediaKind.MEDIA_KIND_VIDEO, state=ItemState.ITEM_STATE_OK)
    facts.identity, facts.size_bytes, facts.mtime_ns = identity(content), len(content), SCAN_LATER
    (item_id,) = await place.library.upsert([facts])
    return place.library.rows[item_id]


def identity(content: bytes) -> str:
    return quick_identity(len(content), content[:END_BYTES], content[-END_BYTES:])


async def moved(place: Desk, **wishes: object) -> Outcome:
    return await heard(place, unheard, **wishes)


async def heard(place: Desk, reached: Reached, **wishes: object) -> Outcome:
    params = MoveToLibraryParams.model_validate(wishes)
    return await MoveToLibrary(reached).process(params, place.context())


def files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


async def test_file_goes_into_a_folder_of_the_library_and_the_item_with_it(place: Desk) -> None:
    item = await filed(place)
    (library(place) / "library").mkdir()
    before = (library(place) / "inbox/a.bin").stat()

    outcome = await moved(place, videoId=item.id, directoryType="videos/2026")
    after = (library(place) / "library/videos/2026/a.bin").stat()

    assert outcome.result == {
        "videoId": item.id,
        "root": "library",
        "path": "library/videos/2026/a.bin",
        "moved": True,
        "copied": False,
    }
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files(library(place)) == ["library/videos/2026/a.bin"]
    assert place.library.rows[item.id].facts.path == "library/videos/2026/a.bin"
    assert len(place.library.rows) == 1


async def test_root_without_a_library_folder_has_the_folder_itself(place: Desk) -> None:
    await filed(place)

    outcome = await moved(place, inputPath="inbox/a.bin", directoryType="videos")

    assert outcome.result["path"] == "videos/a.bin"


async def test_second_run_finds_the_file_there_already(place: Desk) -> None:
    item = await filed(place)
    await moved(place, videoId=item.id, directoryType="videos")

    by_id = await moved(place, videoId=item.id, directoryType="videos")
    by_path = await moved(place, inputPath="inbox/a.bin", directoryType="videos")

    assert by_id.result == by_path.result
    assert (by_id.result["moved"], by_id.result["path"]) == (False, "videos/a.bin")
    assert "lies there already" in place.diary.text


async def test_taken_name_fails_clearly_or_leaves_the_file_where_it_is(place: Desk) -> None:
    item = await filed(place)
    await filed(place, "videos/a.bin", b"other")

    with pytest.raises(BadInputError, match=r"outputPath: there is something at library/videos/a\.bin"):
        await moved(place, videoId=item.id, directoryType="videos")
    outcome = await moved(place, videoId=item.id, directoryType="videos", skipExisting=True)

    assert (outcome.result["moved"], outcome.result["path"]) == (False, "inbox/a.bin")
    assert files(library(place)) == ["inbox/a.bin", "videos/a.bin"]
    assert (library(place) / "videos/a.bin").read_bytes() == b"other"


async def test_equal_file_of_somebody_else_is_no_copy_of_ours(place: Desk) -> None:
    item = await filed(place)
    await filed(place, "videos/a.bin")

    with pytest.raises(BadInputError, match="there is something at"):
        await moved(place, videoId=item.id, directoryType="videos")
    assert files(library(place)) == ["inbox/a.bin", "videos/a.bin"]


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"directoryType": "videos", "outputRoot": "shown"}, "outputRoot: root 'shown': is read-only"),
        ({"directoryType": "videos", "outputPath": "a.bin"}, "directoryType: name the folder"),
        ({}, "directoryType: name the folder"),
        ({"directoryType": "../videos"}, r"directoryType: must not have an empty part, '\.' or '\.\.'"),
        ({"outputPath": "videos/.a.bin"}, "outputPath: .* is hidden"),
        ({"outputPath": "a.partial"}, "outputPath: .* is hidden"),
        ({"outputPath": "link/a.bin"}, "symbolic link"),
        ({"outputPath": "inbox"}, "is no regular file"),
        ({"outputPath": "a.bin", "outputRoot": "none"}, "outputRoot: .*does not reach"),
    ],
)
async def test_what_cannot_be_is_refused_by_the_name_of_the_parameter(
    place: Desk, tmp_path: Path, wishes: dict[str, object], says: str
) -> None:
    item = await filed(place)
    (library(place) / "link").symlink_to(tmp_path)

    with pytest.raises(BadInputError, match=says):
        await moved(place, videoId=item.id, **wishes)
    assert (library(place) / "inbox/a.bin").exists()
    assert place.library.rows[item.id].facts.path == "inbox/a.bin"


async def test_file_of_a_root_that_is_only_read_stays(place: Desk) -> None:
    await filed(place)
    facts = ItemFacts()
    facts.CopyFrom(place.library.at("inbox/a.bin").facts)
    facts.root = "shown"
    (item_id,) = await place.library.upsert([facts])

    with pytest.raises(BadInputError, match="videoId: root 'shown': is read-only"):
        await moved(place, videoId=item_id, directoryType="videos")
    with pytest.raises(BadInputError, match=r"^root: root 'shown': is read-only"):
        await moved(place, inputPath="inbox/a.bin", root="shown", directoryType="videos")


async def test_item_that_is_not_there_or_has_no_file_says_so(place: Desk) -> None:
    item = await filed(place)
    (library(place) / "inbox/a.bin").unlink()

    with pytest.raises(BadInputError, match="the file is gone"):
        await moved(place, videoId=item.id, directoryType="videos")
    with pytest.raises(BadInputError, match="videoId: there is no item"):
        await moved(place, videoId=str(uuid.uuid4()), directoryType="videos")
    with pytest.raises(BadInputError, match="inputPath: the library has no item at"):
        await moved(place, inputPath="inbox/b.bin", directoryType="videos")


async def test_file_that_changed_since_it_was_scanned_stays(place: Desk) -> None:
    item = await filed(place)
    (library(place) / "inbox/a.bin").write_bytes(b"another")

    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await moved(place, videoId=item.id, directoryType="videos")
    assert files(library(place)) == ["inbox/a.bin"]


async def test_one_place_by_two_names_is_no_copy_to_be_removed(place: Desk) -> None:
    item = await filed(place, "a.bin", root="inner")
    (library(place) / "elsewhere.bin").hardlink_to(library(place) / "inbox/a.bin")

    with pytest.raises(BadInputError, match="there is something at"):
        await moved(place, videoId=item.id, outputRoot="library", outputPath="inbox/a.bin")
    assert (library(place) / "inbox/a.bin").exists()


async def test_file_system_without_such_a_rename_ends_what_a_death_left_between(
    place: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_renameat2", renaming.without_renameat2)
    item = await filed(place)
    (library(place) / "videos").mkdir()
    (library(place) / "videos/a.bin").hardlink_to(library(place) / "inbox/a.bin")

    await moved(place, videoId=item.id, directoryType="videos")
    await moved(place, videoId=item.id, directoryType="others")

    assert files(library(place)) == ["others/a.bin"]


async def test_other_file_system_gets_a_durable_equal_copy_with_its_times(place: Desk, far: Path) -> None:
    content = os.urandom(3_000_000)
    item = await filed(place, content=content)
    (library(place) / "inbox/a.bin").chmod(0o640)
    steps: list[str] = []

    outcome = await heard(place, steps.append, videoId=item.id, directoryType="videos", outputRoot="far")
    made = far / "videos/a.bin"

    assert steps == ["checked", "copied", "named", "removed", "recorded", "cleaned"]
    assert outcome.result["copied"] is True
    assert made.read_bytes() == content
    assert (made.stat().st_mtime_ns, made.stat().st_mode & 0o777) == (SCAN_LATER, 0o640)
    assert (files(library(place)), files(far)) == ([], ["videos/a.bin"])
    facts = place.library.rows[item.id].facts
    assert (facts.root, facts.path, facts.mtime_ns) == ("far", "videos/a.bin", SCAN_LATER)


async def test_cancelled_copy_leaves_nothing_behind(place: Desk, far: Path) -> None:
    item = await filed(place)
    context = place.context()
    context.stop.ask(StopReason.CANCELLED, begun=True)
    params = MoveToLibraryParams.model_validate(
        {"videoId": item.id, "directoryType": "videos", "outputRoot": "far"}
    )

    with pytest.raises(AttemptCancelledError):
        await MoveToLibrary().process(params, context)
    assert (files(library(place)), files(far)) == (["inbox/a.bin"], [])


async def test_full_disk_is_want_of_room_and_loses_nothing(place: Desk, tmp_path: Path) -> None:
    item = await filed(place, content=os.urandom(3_000_000))
    (tmp_path / "small").mkdir()
    with small_disk(tmp_path / "small", "2M") as small:
        add_root(place, "small", small)
        with pytest.raises(CapacityError, match="MiB are free"):
            await moved(place, videoId=item.id, directoryType="videos", outputRoot="small")
        assert files(small) == []
    assert files(library(place)) == ["inbox/a.bin"]


class Refusing(Shelf):
    """The library as an attempt sees it whose lease has gone to another."""

    @override
    async def fence(self) -> None:
        raise LeaseLostError("the lease is no longer the newest")


async def test_attempt_that_lost_its_lease_moves_nothing(place: Desk) -> None:
    item = await filed(place)
    place.library = Refusing(rows=place.library.rows)

    with pytest.raises(LeaseLostError):
        await moved(place, videoId=item.id, directoryType="videos")
    assert files(library(place)) == ["inbox/a.bin"]


async def test_job_that_opens_a_file_after_it_moved_finds_it(place: Desk) -> None:
    item = await filed(place)
    known = Item()
    known.CopyFrom(item)
    with await opened(place.context(), known) as before:
        await moved(place, videoId=item.id, directoryType="videos")
        with await opened(place.context(), known) as after:
            assert os.fstat(before.fd).st_ino == os.fstat(after.fd).st_ino


async def test_job_that_opens_a_file_while_it_is_moved_goes_again(place: Desk) -> None:
    item = await filed(place)
    (library(place) / "inbox/a.bin").unlink()

    with pytest.raises(BadInputError, match="no such file"):
        await opened(place.context(), item)
    params = f'{{"videoId": "{item.id}", "directoryType": "videos"}}'
    await place.queue.submit([NewJob(type="move_to_library", params_json=params)])
    with pytest.raises(TransientError, match="is being moved"):
        await opened(place.context(), item)


async def test_item_that_was_marked_missing_meanwhile_is_whole_again(place: Desk) -> None:
    item = await filed(place)
    (library(place) / "videos").mkdir()
    (library(place) / "inbox/a.bin").rename(library(place) / "videos/a.bin")
    await place.library.upsert([], missing_ids=[item.id])

    await moved(place, videoId=item.id, directoryType="videos")

    facts = place.library.rows[item.id].facts
    assert (facts.path, facts.state) == ("videos/a.bin", ItemState.ITEM_STATE_OK)


async def test_scan_of_the_new_place_knows_the_item(place: Desk) -> None:
    video(library(place) / "inbox/real.mp4", seconds=1)
    item = await scanned(place, "inbox/real.mp4")

    await moved(place, videoId=item.id, directoryType="videos")
    again = await scanned(place, "videos/real.mp4")

    assert again.id == item.id
    assert place.library.paths == ["videos/real.mp4"]
