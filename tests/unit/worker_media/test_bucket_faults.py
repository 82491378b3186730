"""Servers that are full, overloaded, cut off or not trusted: what jobs hear, and nothing half published."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callsheet.errors import AttemptError, CapacityError, TransientError
from callsheet.worker.lease import Lease
from callsheet.worker.leftovers import Standing, find, sweep
from callsheet.worker.storage.bucket_files import PIECE_BYTES
from callsheet.worker.storage.library import OpenedFile, Roots
from callsheet.worker.storage.scratch import Scratch
from callsheet.worker.storage.staging import StagedOutput, stage, stage_wanted
from callsheet.worker.threads import in_thread
from tests.support.gates import Gate, gate_before
from tests.support.objects import Bucket, Objects

LEASE = Lease(job_id="job-1", token=7, attempt=1)
LARGE = PIECE_BYTES * 3
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 38\r\n\r\n<Error><Code>SlowDown</Code></Error>    "
FULL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 43\r\n\r\n<Error><Code>QuotaExceeded</Code></Error>   "
TORN = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"


@pytest.fixture
async def gate(objects: Objects) -> AsyncIterator[Gate]:
    async with gate_before(objects.endpoint) as gate:
        yield gate


@pytest.fixture
def roots(objects: Objects, bucket: Bucket, gate: Gate, tmp_path: Path) -> Roots:
    settings = objects.settings(bucket.name, endpoint=gate.endpoint)
    return Roots({"made": settings}, Scratch(tmp_path / "scratch", floor_mib=1))


async def begun(roots: Roots, size: int, path: str = "film.mp4") -> StagedOutput:
    output = await stage_wanted(roots, "made", path, LEASE)
    await output.write(os.urandom(size))
    return output


async def test_overload_that_passes_is_waited_for(roots: Roots, bucket: Bucket, gate: Gate) -> None:
    bucket.put("a.jpg", b"picture")
    for ask in (lambda: roots.read("made", "a.jpg", 0, 9).content, lambda: len(list(roots.walk("made")))):
        gate.refuse(BUSY, times=2)
        assert await in_thread(ask) in {b"picture", 1}
        assert gate.answered == 2


async def test_overload_that_lasts_is_a_failure_that_may_pass(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    bucket.put("a.jpg", b"picture")
    gate.refuse(BUSY)
    says = rf"root 'made': {gate.endpoint} answers 503 \(SlowDown\)"

    with pytest.raises(TransientError, match=says):
        await in_thread(lambda: roots.read("made", "a.jpg", 0, 9))
    with pytest.raises(TransientError, match=says):
        await in_thread(lambda: list(roots.walk("made")))


async def test_answer_that_is_cut_off_is_a_failure_that_may_pass(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    bucket.put("a.jpg", b"picture")
    gate.refuse(TORN)

    with pytest.raises(TransientError, match="does not answer"):
        await in_thread(lambda: roots.read("made", "a.jpg", 0, 9))
    with pytest.raises(TransientError, match="does not answer"):
        await in_thread(lambda: list(roots.walk("made")))


async def test_page_of_keys_that_is_not_whole_is_no_page(roots: Roots, bucket: Bucket, gate: Gate) -> None:
    """The keys that it lacks would pass for removed files."""
    bucket.put("a.jpg", b"picture")
    half = b"<ListBucketResult><IsTruncated>false</IsTruncated>"
    gate.refuse(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + half)

    with pytest.raises(TransientError, match="not whole"):
        await in_thread(lambda: list(roots.walk("made")))


async def test_bucket_that_is_full_is_want_of_capacity(roots: Roots, bucket: Bucket, gate: Gate) -> None:
    output = await stage(roots, "made", f"picture.{LEASE.file_tag}.jpg", LEASE)
    await output.write(b"picture")
    gate.refuse(FULL)

    with pytest.raises(CapacityError, match=r"bucket '.*' is full \(QuotaExceeded\); make room"):
        await output.publish()
    assert bucket.keys() == []


@pytest.mark.parametrize("mark", [b"partNumber=2", b"uploadId="])
async def test_upload_that_is_cut_off_publishes_nothing_and_is_swept(
    roots: Roots, bucket: Bucket, gate: Gate, mark: bytes
) -> None:
    """What a worker leaves that is killed in the middle, or whose server goes away."""
    output = await begun(roots, LARGE)
    gate.stop_at = mark
    publishing = asyncio.create_task(output.publish())
    await gate.held.wait()
    gate.refuse(BUSY)
    gate.stop_at = None
    gate.open.set()

    with pytest.raises(TransientError, match="503"):
        await publishing
    gate.times = 0
    left = await find(roots)

    assert [one.lease for one in left] == [("job-1", 7)]
    assert [key for key in bucket.keys("") if not key.endswith(".partial")] == []
    assert await sweep(roots, left, _held) == left
    assert await sweep(roots, left, _over) == []
    assert (bucket.keys(), bucket.uploads()) == ([], [])


async def test_bucket_that_disappears_during_an_upload_is_told(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    output = await begun(roots, LARGE)
    gate.stop_at = b"partNumber="  # each: a part that is on its way makes the server's folder anew
    publishing = asyncio.create_task(output.publish())
    await gate.held.wait()
    await asyncio.to_thread(bucket.drop)
    gate.stop_at = None
    gate.open.set()

    with pytest.raises(TransientError, match="there is no bucket"):
        await publishing


async def test_upload_that_someone_ends_may_pass_another_time(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    """As rules of a bucket do that sweep what was begun long ago."""
    output = await begun(roots, LARGE)
    gate.stop_at = b"partNumber="
    publishing = asyncio.create_task(output.publish())
    await gate.held.wait()
    for upload in await asyncio.to_thread(bucket.uploads):
        await asyncio.to_thread(bucket.calls.abort, upload)
    gate.stop_at = None
    gate.open.set()

    with pytest.raises(TransientError, match=r"film\.mp4.*: its upload was ended by someone"):
        await publishing
    assert [key for key in bucket.keys("") if not key.endswith(".partial")] == []


async def test_object_that_is_replaced_while_it_is_copied_is_not_mixed(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    bucket.put("a.mp4", b"a" * LARGE)
    gate.stop_at = f"range: bytes={PIECE_BYTES}-".encode()
    copying = asyncio.create_task(in_thread(lambda: roots.open_file("made", "a.mp4"), OpenedFile.close))
    await gate.held.wait()
    await asyncio.to_thread(bucket.put, "a.mp4", b"b" * LARGE)
    gate.stop_at = None
    gate.open.set()

    with pytest.raises(TransientError, match="changed while it was read"):
        await copying


async def test_copy_that_nobody_waits_for_any_more_is_given_up(
    roots: Roots, bucket: Bucket, gate: Gate
) -> None:
    bucket.put("a.mp4", b"a" * LARGE)
    gate.stop_at = f"range: bytes={PIECE_BYTES}-".encode()
    copying = asyncio.create_task(in_thread(lambda: roots.open_file("made", "a.mp4"), OpenedFile.close))
    await gate.held.wait()
    copying.cancel()
    await asyncio.sleep(0)
    gate.stop_at = f"range: bytes={2 * PIECE_BYTES}-".encode()
    gate.held.clear()
    gate.open.set()

    with pytest.raises(asyncio.CancelledError):
        await copying
    assert not gate.held.is_set()


async def test_failures_name_no_credential(roots: Roots, gate: Gate) -> None:
    said = b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIAEVERYTHING</AWSAccessKeyId></Error>"
    gate.refuse(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    with pytest.raises(AttemptError) as failed:
        await in_thread(lambda: roots.read("made", "a.jpg", 0, 9))

    assert "(SignatureDoesNotMatch)" in failed.value.message
    assert "AKIA" not in failed.value.message


async def _held(_job_id: str, _token: int) -> Standing:
    return Standing.HELD


async def _over(_job_id: str, _token: int) -> Standing:
    return Standing.OVER


def test_server_with_a_certificate_of_an_own_authority_is_spoken_with_where_that_is_trusted(
    objects: Objects, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("a.jpg", b"picture")
    secure = objects.secure_endpoint
    roots = {"media": objects.settings(bucket.name, endpoint=secure)}
    distrusting = Roots(roots, Scratch(tmp_path / "distrusting", floor_mib=1))
    says = rf"the certificate of {secure} is not trusted \(.+\); name its CA in SSL_CERT_FILE"
    with pytest.raises(TransientError, match=says):
        distrusting.read("media", "a.jpg", 0, 9)
    with pytest.raises(TransientError, match=says):
        list(distrusting.walk("media"))

    monkeypatch.setenv("SSL_CERT_FILE", str(objects.authority))

    trusting = Roots(roots, Scratch(tmp_path / "trusting", floor_mib=1))
    assert trusting.read("media", "a.jpg", 0, 9).content == b"picture"
    assert len(list(trusting.walk("media"))) == 1
