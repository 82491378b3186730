"""Outputs that appear whole or not at all."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from callsheet.errors import BadInputError, CapacityError
from callsheet.service.settings import RootSettings
from callsheet.worker.lease import Lease
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.staging import derivative_path, publish, stage
from tests.support.processes import descriptors

MINE = Lease(job_id="job-1", token=0xAB, attempt=1)
THEIRS = Lease(job_id="job-2", token=0xCD, attempt=1)
TAG = MINE.file_tag
OTHER = THEIRS.file_tag


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    return Roots(
        {
            "derivatives": RootSettings(path=tmp_path / "out", writable=True),
            "library": RootSettings(path=tmp_path / "in"),
        }
    )


def names(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


async def test_output_bears_its_name_only_when_it_is_whole(roots: Roots, tmp_path: Path) -> None:
    path = derivative_path("thumbnails", "0199-item-4f", "box300-v1", TAG, ".jpg")
    output = await stage(roots, "derivatives", path, MINE)
    await output.write(b"half")
    assert names(tmp_path / "out") == [f"thumbnails/4f/.0199-item-4f-box300-v1.{TAG}.jpg.job-1.{TAG}.partial"]
    await output.write(b" whole")
    await output.publish()
    assert names(tmp_path / "out") == [f"thumbnails/4f/0199-item-4f-box300-v1.{TAG}.jpg"]
    assert (tmp_path / "out" / path).read_bytes() == b"half whole"


async def test_discarded_output_leaves_nothing_and_no_descriptor(roots: Roots, tmp_path: Path) -> None:
    before = descriptors()
    output = await stage(roots, "derivatives", f"a/b.{TAG}.jpg", MINE)
    await output.write(b"x")
    await output.discard()
    await publish(roots, "derivatives", f"a/c.{TAG}.jpg", MINE, b"y")
    assert names(tmp_path / "out") == [f"a/c.{TAG}.jpg"]
    assert descriptors() == before


async def test_two_attempts_at_once_publish_two_files(roots: Roots, tmp_path: Path) -> None:
    await asyncio.gather(
        publish(roots, "derivatives", f"t/x.{TAG}.jpg", MINE, b"1"),
        publish(roots, "derivatives", f"t/x.{OTHER}.jpg", THEIRS, b"2"),
    )
    assert names(tmp_path / "out") == [f"t/x.{TAG}.jpg", f"t/x.{OTHER}.jpg"]


@pytest.mark.parametrize(
    ("root", "path", "says"),
    [
        ("library", f"x.{TAG}.jpg", "read-only"),
        ("derivatives", f"../x.{TAG}.jpg", r"\.\."),
        ("derivatives", f"/x.{TAG}.jpg", "relative"),
        ("derivatives", "x.jpg", "lease's tag"),
        ("derivatives", f"link/x.{TAG}.jpg", "Not a directory|symbolic link|Too many levels"),
    ],
)
async def test_output_cannot_be_begun_elsewhere(
    roots: Roots, tmp_path: Path, root: str, path: str, says: str
) -> None:
    (tmp_path / "out" / "link").symlink_to(tmp_path / "in")
    with pytest.raises(BadInputError, match=says):
        await stage(roots, root, path, MINE)
    assert names(tmp_path / "in") == []


async def test_full_disk_is_a_want_of_capacity_and_leaves_nothing(roots: Roots, tmp_path: Path) -> None:
    output = await stage(roots, "derivatives", f"x.{TAG}.jpg", MINE)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, output.fd)
    os.close(full)
    with pytest.raises(CapacityError, match="No space left"):
        await output.write(b"x")
    await output.discard()
    assert names(tmp_path / "out") == []


async def test_many_outputs_leak_no_descriptor(roots: Roots) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    for count in range(50):
        await publish(roots, "derivatives", f"{count % 3}/{count}.{TAG}.jpg", MINE, b"z")
    assert descriptors() == before
    assert soft > 0
