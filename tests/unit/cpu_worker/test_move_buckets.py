"""Moves between folders and buckets of a real S3 server: any step may be an attempt's last."""

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from callsheet_cpu_worker.processors.move_to_library import MoveToLibrary

from callsheet.errors import BadInputError, TransientError
from callsheet.params import MoveToLibraryParams
from callsheet.service.settings import AnyRootSettings, BucketSettings, RootSettings
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState, MediaKind
from callsheet.worker.processor import Outcome
from callsheet.worker.relocating import Reached, unheard
from callsheet.worker.storage import bucket as bucket_module
from callsheet.worker.storage.bucket_files import PIECE_BYTES
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.storage.store import content_identity
from tests.support.attempts import Desk, desk
from tests.support.objects import READER_ID, READER_SECRET, Bucket, Objects, bucket_as_owner

BY_COPY = ["checked", "copied", "named", "removed", "recorded", "cleaned"]
BY_SERVER = ["checked", "named", "removed", "recorded"]


@pytest.fixture
async def place(tmp_path: Path, objects: Objects) -> AsyncIterator[Desk]:
    """Give two folders, a bucket with two prefixes, and another bucket."""
    for name in ("library", "archive"):
        (tmp_path / name).mkdir()
    first, other = (objects.bucket(f"b{uuid4().hex}") for _ in range(2))
    async with desk(tmp_path) as place:
        add_roots(
            place,
            {
                "library": RootSettings(path=tmp_path / "library", writable=True),
                "cloud": objects.settings(first.name),
                "corner": objects.settings(first.name, "corner"),
                "other": objects.settings(other.name, "deep/down"),
            },
        )
        yield place


def add_roots(place: Desk, roots: dict[str, AnyRootSettings]) -> None:
    scratch = Scratch(place.derivatives.parent / "scratch", floor_mib=1)
    place.roots = Roots({**place.roots, **roots}, scratch)


def content_of(place: Desk, root: str, path: str) -> bytes:
    with place.roots.open_file(root, path) as file:
        return os.pread(file.fd, file.size_bytes + 1, 0)


async def filed(place: Desk, root: str, path: str, content: bytes) -> Item:
    """Put a file into a root, and its item into the library."""
    settings = place.roots[root]
    if isinstance(settings, BucketSettings):
        bucket_of(place, root).put(f"{settings.prefix}{path}", content)
    else:
        (settings.path / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.path / path).write_bytes(content)
    found = place.roots.facts(root, path)
    facts = ItemFacts(
        root=root,
        path=path,
        kind=MediaKind.MEDIA_KIND_VIDEO,
        state=ItemState.ITEM_STATE_OK,
        identity=content_identity(place.roots.store(root), path),
        size_bytes=found.size_bytes,
        mtime_ns=found.mtime_ns,
    )
    (item_id,) = await place.library.upsert([facts])
    return place.library.rows[item_id]


def bucket_of(place: Desk, root: str) -> Bucket:
    settings = place.roots[root]
    assert isinstance(settings, BucketSettings)
    return bucket_as_owner(settings)


def lying(place: Desk) -> list[str]:
    """Return all that lies in the roots, hidden files and unfinished uploads too."""
    found: set[str] = set()
    for root in ("library", "cloud", "other"):
        settings = place.roots[root]
        if isinstance(settings, BucketSettings):
            bucket = bucket_of(place, root)
            found |= {f"{root}/{key.removeprefix(settings.prefix)}" for key in bucket.keys("")}
            found |= {f"{root}/upload of {one.key}" for one in bucket.uploads()}
        else:
            found |= {f"{root}/{one.relative_to(settings.path)}" for one in settings.path.rglob("*.*")}
    return sorted(found)


async def moved(
    place: Desk, wishes: Mapping[str, object], reached: Reached = unheard, *, attempt: int = 1
) -> Outcome:
    params = MoveToLibraryParams.model_validate(wishes)
    return await MoveToLibrary(reached).process(params, place.context(attempt=attempt))


def wish(item: Item, root: str, path: str) -> dict[str, object]:
    return {"videoId": item.id, "outputRoot": root, "outputPath": path}


WAYS = pytest.mark.parametrize(
    ("source", "target", "steps"),
    [
        ("library", "cloud", BY_COPY),
        ("cloud", "library", BY_COPY),
        ("cloud", "other", BY_COPY),
        ("other", "other", BY_SERVER),
    ],
    ids=["into a bucket", "out of a bucket", "between buckets", "within a bucket"],
)


@WAYS
async def test_file_goes_its_way_whole_and_its_item_with_it(
    place: Desk, source: str, target: str, steps: list[str]
) -> None:
    content = os.urandom(PIECE_BYTES + 12_345)
    item = await filed(place, source, "inbox/a.mp4", content)
    seen: list[str] = []

    outcome = await moved(place, wish(item, target, "films/b.mp4"), seen.append)

    assert seen == steps
    assert (outcome.result["moved"], outcome.result["copied"]) == (True, steps is BY_COPY)
    assert lying(place) == [f"{target}/films/b.mp4"]
    assert content_of(place, target, "films/b.mp4") == content
    found, facts = place.roots.facts(target, "films/b.mp4"), place.library.rows[item.id].facts
    assert (facts.root, facts.path, facts.mtime_ns) == (target, "films/b.mp4", found.mtime_ns)
    assert list(place.derivatives.parent.glob("scratch/*")) == []


class _DiedError(Exception):
    """Stands for the end of a worker."""


@WAYS
async def test_next_attempt_ends_what_one_left_behind_any_step(
    place: Desk, source: str, target: str, steps: list[str]
) -> None:
    for number, last in enumerate(steps):
        item = await filed(place, source, f"inbox/{number}.mp4", f"film {number}".encode())
        wishes = wish(item, target, f"films/{number}.mp4")

        def die(step: str, last: str = last) -> None:
            if step == last:
                raise _DiedError

        with pytest.raises(_DiedError):
            await moved(place, wishes, die)
        await moved(place, wishes, attempt=2)

        assert lying(place) == sorted(f"{target}/films/{one}.mp4" for one in range(number + 1)), last
        assert content_of(place, target, f"films/{number}.mp4") == f"film {number}".encode()
        facts = place.library.rows[item.id].facts
        assert (facts.root, facts.path) == (target, f"films/{number}.mp4")


@pytest.mark.parametrize("target", ["other", "cloud"])
async def test_object_of_somebody_else_is_never_replaced_nor_taken_for_a_copy(
    place: Desk, target: str
) -> None:
    item = await filed(place, "cloud", "inbox/a.mp4", b"equal")
    await filed(place, target, "films/a.mp4", b"equal")
    before = lying(place)

    with pytest.raises(BadInputError, match="there is something at"):
        await moved(place, wish(item, target, "films/a.mp4"))

    assert lying(place) == before


async def test_one_object_in_two_roots_is_no_copy_to_be_removed(place: Desk, objects: Objects) -> None:
    item = await filed(place, "corner", "a.mp4", b"only one")
    settings = objects.settings(bucket_of(place, "cloud").name)
    by_name = settings.model_copy(update={"endpoint": settings.endpoint.replace("127.0.0.1", "localhost")})
    add_roots(place, {"alias": by_name})

    for root in ("cloud", "alias"):
        for attempt in (1, 2):
            with pytest.raises(BadInputError, match="there is something at"):
                await moved(place, wish(item, root, "corner/a.mp4"), attempt=attempt)
    assert content_of(place, "corner", "a.mp4") == b"only one"


async def test_bucket_that_does_not_let_a_file_go_keeps_it_until_the_next_attempt(
    place: Desk, objects: Objects
) -> None:
    item = await filed(place, "cloud", "inbox/a.mp4", b"stays")
    whole = place.roots["cloud"]
    readers = objects.credentials(READER_ID, READER_SECRET)
    add_roots(place, {"cloud": objects.settings(bucket_of(place, "cloud").name, credentials_file=readers)})
    wishes = wish(item, "library", "a.mp4")

    with pytest.raises(TransientError, match="does not let its credentials write into it"):
        await moved(place, wishes)
    assert content_of(place, "cloud", "inbox/a.mp4") == content_of(place, "library", "a.mp4") == b"stays"

    add_roots(place, {"cloud": whole})
    await moved(place, wishes, attempt=2)
    assert lying(place) == ["library/a.mp4"]


async def test_object_that_is_too_large_for_the_server_to_copy_goes_through_the_worker(
    place: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "COPY_BYTES_MAX", PIECE_BYTES)
    content = os.urandom(2 * PIECE_BYTES)
    item = await filed(place, "cloud", "inbox/a.mp4", content)

    await moved(place, {"videoId": item.id, "directoryType": "films"})

    assert lying(place) == ["cloud/films/a.mp4"]
    assert content_of(place, "cloud", "films/a.mp4") == content


async def test_folder_of_a_bucket_is_no_place_for_a_file(place: Desk) -> None:
    item = await filed(place, "cloud", "inbox/a.mp4", b"a")

    with pytest.raises(BadInputError, match="is no regular file"):
        await moved(place, wish(item, "cloud", "inbox"))


async def test_empty_file_goes_as_well(place: Desk) -> None:
    item = await filed(place, "library", "empty.mp4", b"")

    for root, path in (("cloud", "empty.mp4"), ("cloud", "films/empty.mp4"), ("library", "back.mp4")):
        await moved(place, wish(item, root, path))

    assert lying(place) == ["library/back.mp4"]
