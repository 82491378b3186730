"""Copies of originals in buckets are made once, bounded, and never used for another content."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from callsheet.worker.storage.copies import COPIES_MAX, Copies, CopyKey
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.scratch import Scratch
from tests.support.objects import Bucket, Objects

KIB = 1024


def key(path: str = "a.mp4", *, etag: str = '"1"', version: str = "", size: int = KIB) -> CopyKey:
    return CopyKey(root="media", path=path, etag=etag, version=version, size_bytes=size)


class Fetcher:
    """Makes copies and counts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch = Scratch(folder, floor_mib=0)
        self.made: list[CopyKey] = []

    def __call__(self, wanted: CopyKey) -> Callable[[], int]:
        def make() -> int:
            fd = self._scratch.file(wanted.size_bytes)
            os.pwrite(fd, repr(wanted).encode()[: wanted.size_bytes], 0)
            self.made.append(wanted)
            return fd

        return make


@pytest.fixture
def fetch(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path / "scratch")


def held(folder: Path) -> int:
    """Return how many descriptors of files of *folder* are open, removed ones too."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found += descriptor.readlink().is_relative_to(folder)
    return found


def read(copies: Copies, fetch: Fetcher, wanted: CopyKey) -> bytes:
    fd = copies.open(wanted, fetch(wanted))
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(fd, b"x", 0)
        return os.pread(fd, 9_999, 0).rstrip(b"\0")
    finally:
        os.close(fd)


def test_copy_is_made_once_and_again_for_every_other_content(fetch: Fetcher) -> None:
    copies = Copies(100 * KIB)
    wanted = [key(), key(etag='"2"'), key(version="v"), key("b.mp4"), key(size=2 * KIB)]
    for one in wanted:
        assert read(copies, fetch, one) == repr(one).encode()
        assert read(copies, fetch, one) == repr(one).encode()
    assert fetch.made == wanted


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_nothing_is_kept_without_a_strong_entity_tag(fetch: Fetcher, etag: str) -> None:
    copies = Copies(100 * KIB)
    for _ in range(2):
        read(copies, fetch, key(etag=etag))
    assert len(fetch.made) == 2
    assert not copies.let_go()


def test_copies_that_nobody_wanted_the_longest_go_first(fetch: Fetcher) -> None:
    copies = Copies(3 * KIB)
    for path in ("a", "b", "c", "a", "d"):
        read(copies, fetch, key(path))
    fetch.made.clear()
    for path in ("a", "c", "d", "b"):
        read(copies, fetch, key(path))
    assert [one.path for one in fetch.made] == ["b"]
    read(copies, fetch, key("larger than all room", size=4 * KIB))
    read(copies, fetch, key("d"))
    assert [one.path for one in fetch.made] == ["b", "larger than all room"]


def test_no_more_descriptors_are_held_than_the_limit(fetch: Fetcher) -> None:
    copies = Copies(10**9)
    for number in range(COPIES_MAX + 10):
        read(copies, fetch, key(str(number)))
    assert held(fetch.folder) == COPIES_MAX
    while copies.let_go():
        pass
    assert held(fetch.folder) == 0


def test_copy_that_somebody_wrote_into_is_not_used_again(fetch: Fetcher) -> None:
    copies = Copies(100 * KIB)
    fd = copies.open(key(), fetch(key()))
    was = os.fstat(fd)
    while os.fstat(fd).st_ctime_ns == was.st_ctime_ns:  # within one tick of the kernel's clock all look alike
        writable = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        os.pwrite(writable, b"another tenant's", 0)
        os.close(writable)
        os.utime(fd, ns=(was.st_atime_ns, was.st_mtime_ns))
    os.close(fd)

    assert read(copies, fetch, key()) == repr(key()).encode()
    assert len(fetch.made) == 2


def test_those_who_want_the_same_at_once_wait_for_one_copy(fetch: Fetcher) -> None:
    copies, begun, go_on = Copies(100 * KIB), threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go_on.wait(20)
        return fetch(key())()

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(copies.open, key(), slow)
        assert begun.wait(20)
        others = [threads.submit(copies.open, key(), fetch(key())) for _ in range(3)]
        elsewhere = copies.open(key("b"), fetch(key("b")))
        go_on.set()
        fds = [one.result(20) for one in (first, *others)]
    assert fetch.made == [key("b"), key()]
    assert len({os.fstat(fd).st_ino for fd in fds}) == 1
    for fd in (*fds, elsewhere):
        os.close(fd)


def test_copy_that_fails_is_made_by_the_next(fetch: Fetcher) -> None:
    copies = Copies(100 * KIB)

    def failing() -> int:
        raise OSError("the bucket is gone")

    with pytest.raises(OSError, match="the bucket is gone"):
        copies.open(key(), failing)
    assert read(copies, fetch, key()) == repr(key()).encode()


def test_kept_copies_make_way_for_what_needs_the_room(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch", floor_mib=0)
    for path in ("a", "b"):
        os.close(scratch.copies.open(key(path), lambda: scratch.file(KIB)))
    assert scratch.room_bytes(1) > 0
    assert scratch.copies.let_go()

    scratch.room_bytes(1 << 62)

    assert not scratch.copies.let_go()


@pytest.mark.parametrize(("copies_mib", "kept"), [(1, True), (0, False)])
def test_original_is_fetched_once_for_all_who_open_it_until_it_changes(
    objects: Objects, bucket: Bucket, tmp_path: Path, copies_mib: int, *, kept: bool
) -> None:
    scratch = Scratch(tmp_path / "scratch", floor_mib=1, copies_mib=copies_mib)
    roots = Roots({"media": objects.settings(bucket.name)}, scratch)
    bucket.put("a.mp4", b"a" * KIB)

    with roots.open_file("media", "a.mp4") as first, roots.open_file("media", "a.mp4") as second:
        assert (os.fstat(first.fd).st_ino == os.fstat(second.fd).st_ino) is kept
    bucket.put("a.mp4", b"b" * KIB)

    with roots.open_file("media", "a.mp4") as changed:
        assert os.pread(changed.fd, 2 * KIB, 0) == b"b" * KIB
