"""A root in a bucket of a real S3 server does what a root in a folder does."""

import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from callsheet.errors import AttemptError, BadInputError, CapacityError, InvalidError, TransientError
from callsheet.service.settings import BucketSettings
from callsheet.worker.lease import Lease
from callsheet.worker.storage.bucket_files import PIECE_BYTES
from callsheet.worker.storage.credentials import credentials_of
from callsheet.worker.storage.library import FoundFile, PassedOver, Roots, VanishedError
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.storage.staging import kept_files, stage, stage_kept, stage_wanted
from tests.support.objects import READER_ID, READER_SECRET, SECRET, Bucket, Objects

LEASE = Lease(job_id="job-1", token=7, attempt=1)
LARGE = PIECE_BYTES * 2 + 12_345


def scratch(folder: Path) -> Scratch:
    return Scratch(folder / "scratch", floor_mib=1)


def over(objects: Objects, bucket: Bucket, folder: Path, prefix: str = "", **changes: object) -> Roots:
    """Return one root, ``media``, over a bucket."""
    return Roots({"media": objects.settings(bucket.name, prefix, **changes)}, scratch(folder))


@pytest.fixture
def roots(objects: Objects, bucket: Bucket, tmp_path: Path) -> Roots:
    return over(objects, bucket, tmp_path, "in/here")


def content(roots: Roots, path: str) -> bytes:
    with roots.open_file("media", path) as file:
        return os.pread(file.fd, file.size_bytes + 1, 0)


def names(bucket: Bucket) -> list[str]:
    return [key.removeprefix("in/here/") for key in bucket.keys("")]


def test_walk_yields_what_lies_below_the_prefix_and_no_hidden_keys(roots: Roots, bucket: Bucket) -> None:
    shown = ["a b+c.jpg", "d/e.jpg", "d/100%25.jpg", "d/f&<>\"'ü.jpg", "-i.jpg"]
    for key in shown:
        bucket.put(f"in/here/{key}", key.encode())
    for key in (".hidden.jpg", ".d/x.jpg", "x.partial", "d/"):
        bucket.put(f"in/here/{key}", b"")
    bucket.put("in/hereafter.jpg", b"")

    found = [one for one in roots.walk("media") if isinstance(one, FoundFile)]

    assert sorted(one.path for one in found) == sorted(shown)
    assert [one.path for one in roots.walk("media", "d") if isinstance(one, FoundFile)] == [
        path for path in (one.path for one in found) if path.startswith("d/")
    ]
    for one in found:
        facts = roots.facts("media", one.path)
        assert (facts.size_bytes, facts.mtime_ns) == (one.size_bytes, one.mtime_ns)
        assert content(roots, one.path) == one.path.encode()


def test_walk_goes_on_over_more_keys_than_one_page_holds(roots: Roots, bucket: Bucket) -> None:
    for number in range(1005):
        bucket.put(f"in/here/{number:04}", b"")

    assert [one.path for one in roots.walk("media")] == [f"{number:04}" for number in range(1005)]


def test_keys_that_are_no_plain_paths_are_passed_over_with_a_reason(roots: Roots, bucket: Bucket) -> None:
    bucket.put("in/here/good.jpg", b"x")
    bucket.put("in/here/two\nlines.jpg", b"x")
    bucket.put("in/here/bell\x07.jpg", b"x")
    bucket.put("in/here/" + "/".join("d" * 66), b"x")

    entries = list(roots.walk("media"))
    passed = [one for one in entries if isinstance(one, PassedOver)]

    assert [one.path for one in entries if isinstance(one, FoundFile)] == ["good.jpg"]
    assert len(passed) == 3
    assert all(one.path.isprintable() and one.reason for one in passed)


@pytest.mark.parametrize("path", ["../x.jpg", "a/../../x.jpg", "/x.jpg", "a\nb.jpg", "x" * 1100])
def test_path_that_no_key_can_have_is_refused(roots: Roots, path: str) -> None:
    with pytest.raises(BadInputError) as refused:
        roots.open_file("media", path)
    assert refused.value.message.isprintable()
    with pytest.raises(BadInputError):
        roots.remove("media", path)


def test_large_object_is_copied_in_pieces_and_read_in_parts(roots: Roots, bucket: Bucket) -> None:
    whole = os.urandom(LARGE)
    bucket.put("in/here/a.mp4", whole)

    assert content(roots, "a.mp4") == whole
    piece = roots.read("media", "a.mp4", LARGE - 10, 100)
    assert (piece.content, piece.size_bytes) == (whole[-10:], LARGE)
    assert roots.read("media", "a.mp4", 5, 7).content == whole[5:12]


def test_part_behind_the_end_is_empty(roots: Roots, bucket: Bucket) -> None:
    bucket.put("in/here/empty", b"")
    bucket.put("in/here/short", b"abc")

    for path, start, size in (("empty", 0, 0), ("short", 3, 3), ("short", 100, 3)):
        piece = roots.read("media", path, start, 10)
        assert (piece.content, piece.size_bytes) == (b"", size)


def test_copy_cannot_be_written_to_and_leaves_no_file(roots: Roots, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/here/a.mp4", b"movie")

    with roots.open_file("media", "a.mp4") as file:
        assert list((tmp_path / "scratch").iterdir()) == []
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(file.fd, b"x", 0)


def test_copy_for_which_there_is_no_room_is_want_of_capacity(
    objects: Objects, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"movie")
    full = Scratch(tmp_path / "scratch", floor_mib=1 << 40)
    roots = Roots({"media": objects.settings(bucket.name)}, full)

    with pytest.raises(CapacityError, match=r"CALLSHEET_SCRATCH .* have to stay free; make room"):
        roots.open_file("media", "a.mp4")


def test_object_that_is_replaced_in_the_same_second_has_changed(roots: Roots, bucket: Bucket) -> None:
    bucket.put("in/here/a.jpg", b"one")
    first = roots.facts("media", "a.jpg")
    bucket.put("in/here/a.jpg", b"two")

    assert roots.facts("media", "a.jpg") != first


async def test_file_appears_whole_when_it_is_published(roots: Roots, bucket: Bucket) -> None:
    path = f"t/picture.{LEASE.file_tag}.jpg"
    output = await stage(roots, "media", path, LEASE)
    await output.write(b"half, ")
    assert bucket.keys() == []
    await output.write(b"whole")
    await output.publish()

    assert content(roots, path) == b"half, whole"
    assert names(bucket) == [path]


async def test_large_file_is_sent_in_parts_and_leaves_no_mark(roots: Roots, bucket: Bucket) -> None:
    whole = os.urandom(LARGE)
    path = f"t/film.{LEASE.file_tag}.mp4"
    output = await stage(roots, "media", path, LEASE)
    await output.write(whole)
    await output.publish()

    assert content(roots, path) == whole
    assert (names(bucket), bucket.uploads()) == ([path], [])


async def test_discarded_file_never_reaches_the_bucket(roots: Roots, bucket: Bucket) -> None:
    output = await stage_wanted(roots, "media", "cut.mp4", LEASE)
    await output.write(b"cut")
    await output.discard()

    assert bucket.keys() == []


async def test_output_is_placed_once_and_never_over_another(roots: Roots, bucket: Bucket) -> None:
    output = await stage_wanted(roots, "media", "films/cut.mp4", LEASE)
    await output.write(b"cut")
    await output.publish()
    place = roots.store("media").place

    assert list(roots.walk("media")) == []
    assert place(output.path, output.wanted) == ""
    assert place(output.path, output.wanted) == ""
    assert content(roots, "films/cut.mp4") == b"cut"
    assert names(bucket) == ["films/cut.mp4"]
    with pytest.raises(BadInputError, match="something at this path already"):
        await stage_wanted(roots, "media", "films/cut.mp4", LEASE)


async def test_output_stays_aside_where_its_name_was_taken_meanwhile(roots: Roots, bucket: Bucket) -> None:
    output = await stage_wanted(roots, "media", "cut.mp4", LEASE)
    await output.write(b"cut")
    await output.publish()
    bucket.put("in/here/cut.mp4", b"mine")

    problem = roots.store("media").place(output.path, output.wanted)

    assert "something else lies there" in problem
    assert content(roots, "cut.mp4") == b"mine"
    assert content(roots, output.path) == b"cut"


async def test_death_between_copy_and_removal_is_made_good(roots: Roots, bucket: Bucket) -> None:
    output = await stage_wanted(roots, "media", "cut.mp4", LEASE)
    await output.write(b"cut")
    await output.publish()
    bucket.put("in/here/cut.mp4", b"cut")

    assert roots.store("media").place(output.path, output.wanted) == ""
    assert names(bucket) == ["cut.mp4"]


async def test_kept_files_are_found_by_every_attempt_of_their_job(roots: Roots) -> None:
    output = await stage_kept(roots, "media", "playback/00001-key", LEASE)
    await output.write(b"chunk")
    await output.publish()

    assert kept_files(roots, "media", "playback", "job-1") == {"00001-key": output.path}
    assert kept_files(roots, "media", "playback", "job-2") == {}
    assert kept_files(roots, "media", "nowhere", "job-1") == {}


def test_removing_the_mark_of_an_upload_ends_the_upload(roots: Roots, bucket: Bucket) -> None:
    """A worker that was killed while it sent a film leaves these."""
    mark = LEASE.name_for("film.mp4", ".partial")
    other = Lease(job_id="job-2", token=8, attempt=1)
    bucket.put(f"in/here/t/{mark}", b"")
    bucket.begin_upload(f"in/here/t/film.{LEASE.file_tag}.mp4")
    bucket.begin_upload(f"in/here/t/film.{other.file_tag}.mp4")

    assert list(roots.store("media").hidden(lambda name: name == mark)) == [f"t/{mark}"]
    assert roots.remove("media", f"t/{mark}")
    assert [one.key for one in bucket.uploads()] == [f"in/here/t/film.{other.file_tag}.mp4"]
    assert not roots.remove("media", f"t/{mark}")


Question = Callable[[Roots], object]
QUESTIONS: dict[str, Question] = {
    "facts": lambda roots: roots.facts("media", "a.jpg"),
    "open": lambda roots: roots.open_file("media", "a.jpg"),
    "read": lambda roots: roots.read("media", "a.jpg", 0, 1),
    "walk": lambda roots: list(roots.walk("media")),
    "is_folder": lambda roots: roots.is_folder("media", "a"),
    "remove": lambda roots: roots.remove("media", "a.jpg"),
    "place": lambda roots: roots.store("media").place(".a.jpg.job.0000000000000007.staged", "a.jpg"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_tells_what_is_wrong_with_the_root(
    objects: Objects, bucket: Bucket, tmp_path: Path, question: str
) -> None:
    bucket.put("a.jpg", b"a")
    wrong = objects.credentials(secret="canary-wrong")
    refused = over(objects, bucket, tmp_path, credentials_file=wrong)
    gone = Roots({"media": objects.settings(f"{bucket.name}x")}, scratch(tmp_path))
    away = over(objects, bucket, tmp_path, endpoint="http://127.0.0.1:9")

    for roots, says in (
        (refused, rf"root 'media': the server does not let its credentials .*; mend {wrong}"),
        (gone, rf"root 'media': there is no bucket '{bucket.name}x' at .*; make it"),
        (away, r"root 'media': http://127\.0\.0\.1:9 does not answer.*; is it running"),
    ):
        with pytest.raises(TransientError, match=says) as failed:
            QUESTIONS[question](roots)
        shown = failed.value.message + repr(failed.value.__cause__) + repr(roots) + repr(dict(roots))
        assert "canary" not in shown
        assert failed.value.__cause__ is None


def test_object_that_is_gone_is_told_from_a_bucket_that_is_gone(roots: Roots, bucket: Bucket) -> None:
    bucket.put("in/here/a.jpg", b"a")
    with pytest.raises(VanishedError, match=r"media/b\.jpg: there is no such file"):
        roots.open_file("media", "b.jpg")

    bucket.drop()

    with pytest.raises(TransientError, match="there is no bucket"):
        roots.open_file("media", "a.jpg")


async def test_publication_into_a_bucket_that_disappeared_fails_and_may_be_repeated(
    roots: Roots, bucket: Bucket
) -> None:
    for size in (10, LARGE):
        output = await stage(roots, "media", f"picture.{LEASE.file_tag}.jpg", LEASE)
        await output.write(bytes(size))
        if size == 10:
            bucket.drop()
        with pytest.raises(TransientError, match="there is no bucket"):
            await output.publish()


async def test_credentials_that_may_only_read_cannot_publish(
    objects: Objects, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.jpg", b"a")
    reader = objects.credentials(READER_ID, READER_SECRET)
    roots = over(objects, bucket, tmp_path, credentials_file=reader)
    output = await stage(roots, "media", f"picture.{LEASE.file_tag}.jpg", LEASE)
    await output.write(b"picture")

    assert content(roots, "a.jpg") == b"a"
    with pytest.raises(TransientError, match=r"does not let its credentials write into it \(AccessDenied\)"):
        await output.publish()
    with pytest.raises(TransientError, match=r"does not let its credentials write into it \(AccessDenied\)"):
        roots.remove("media", "a.jpg")
    assert bucket.keys() == ["a.jpg"]


def test_credentials_are_read_again_when_their_file_changes(
    objects: Objects, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.jpg", b"a")
    file = tmp_path / "credentials"
    file.write_text(objects.credentials(secret="canary-wrong").read_text())
    roots = over(objects, bucket, tmp_path, credentials_file=file)
    with pytest.raises(TransientError):
        roots.facts("media", "a.jpg")

    file.write_text(objects.credentials().read_text())
    os.utime(file, ns=(1, 1))

    assert roots.facts("media", "a.jpg").size_bytes == 1


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "canary"}, "has no credentials"),
    ],
)
def test_root_without_credentials_is_refused_with_the_remedy(environment: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidError, match=says) as refused:
        credentials_of("media", BucketSettings(url="s3://bucket"), environment)
    assert "canary" not in refused.value.message


def test_credentials_of_the_environment_are_not_mixed_with_those_of_a_file(
    objects: Objects, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    bucket.put("a.jpg", b"a")

    roots = over(objects, bucket, tmp_path, presign_s=60)

    assert content(roots, "a.jpg") == b"a"
    assert httpx.get(roots.link("media", "a.jpg") or "").content == b"a"


def test_credentials_show_themselves_nowhere(objects: Objects) -> None:
    known = credentials_of("media", objects.settings("bucket"))

    assert known is not None
    assert known.secret == SECRET
    assert SECRET not in repr(known)


def test_links_are_public_or_signed_or_there_are_none(
    objects: Objects, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a/ü b.jpg", b"picture")

    assert over(objects, bucket, tmp_path).link("media", "a/ü b.jpg") is None
    public = over(objects, bucket, tmp_path, "a", public_url="https://cdn.example.org/a/", presign_s=60)
    assert public.link("media", "ü b.jpg") == "https://cdn.example.org/a/%C3%BC%20b.jpg"
    signed = over(objects, bucket, tmp_path, "a", presign_s=60).link("media", "ü b.jpg")
    assert signed is not None
    assert SECRET not in signed
    assert httpx.get(signed).content == b"picture"
    assert httpx.get(signed.partition("?")[0]).status_code == 403


def test_bucket_is_no_folder_of_this_machine(roots: Roots) -> None:
    with pytest.raises(BadInputError, match="is a bucket; name a root that is a folder"):
        roots.open_root("media")


def test_process_that_keeps_no_copies_reads_parts_only(objects: Objects, bucket: Bucket) -> None:
    bucket.put("a.jpg", b"picture")
    roots = Roots({"media": objects.settings(bucket.name)})

    assert roots.read("media", "a.jpg", 0, 3).content == b"pic"
    with pytest.raises(AttemptError, match="keeps no copies"):
        roots.open_file("media", "a.jpg")
