"""Outputs that are asked for by path: whole beside it, then in their place, never over another file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from callsheet.errors import BadInputError, TransientError
from callsheet.service.settings import RootSettings
from callsheet.v1.lease_service_pb2 import LeaseRef, Output
from callsheet.worker.lease import NAME_BYTES_MAX, Lease, leased_name
from callsheet.worker.placing import place
from callsheet.worker.storage import renaming
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.renaming import give_name, link_name
from callsheet.worker.storage.staging import stage_wanted

LEASE = Lease(job_id="01890a5d-ac96-774b-bcce-000000000001", token=0x100000007, attempt=1)
WHOLE = f"films/.cut.mp4.{LEASE.job_id}.{LEASE.file_tag}.staged"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def roots(root: Path) -> Roots:
    return Roots({"made": RootSettings(path=root, writable=True), "kept": RootSettings(path=root)})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def move(old: Path, new: Path) -> None:
    old.rename(new)


async def staged(roots: Roots, path: str = "films/cut.mp4", content: bytes = b"cut") -> Output:
    made = await stage_wanted(roots, "made", path, LEASE)
    await made.write(content)
    await made.publish()
    lease = LeaseRef(job_id=LEASE.job_id, token=LEASE.token)
    return Output(lease=lease, root="made", staged_path=made.path, path=made.wanted)


async def test_output_is_hidden_until_it_is_placed(roots: Roots, root: Path) -> None:
    output = await staged(roots)

    assert output.staged_path == WHOLE
    assert files(root) == [WHOLE]
    assert list(roots.walk("made")) == []
    assert place(roots, output) == ""
    assert files(root) == ["films/cut.mp4"]
    assert (root / "films/cut.mp4").read_bytes() == b"cut"


async def test_placing_again_does_no_harm(roots: Roots, root: Path) -> None:
    output = await staged(roots)
    place(roots, output)

    assert place(roots, output) == ""
    assert files(root) == ["films/cut.mp4"]


async def test_placing_never_replaces_a_file_and_keeps_what_was_made(roots: Roots, root: Path) -> None:
    output = await staged(roots)
    (root / "films/cut.mp4").write_bytes(b"mine")

    problem = place(roots, output)

    assert (
        problem == f"made/films/cut.mp4: something else lies there; the file stays beside it as {WHOLE[6:]}"
    )
    assert (root / "films/cut.mp4").read_bytes() == b"mine"
    assert (root / WHOLE).read_bytes() == b"cut"


async def test_death_between_link_and_unlink_is_made_good(roots: Roots, root: Path) -> None:
    output = await staged(roots)
    os.link(root / WHOLE, root / "films/cut.mp4")

    assert place(roots, output) == ""
    assert files(root) == ["films/cut.mp4"]


async def test_output_whose_file_is_gone_is_a_problem(roots: Roots, root: Path) -> None:
    output = await staged(roots)
    (root / WHOLE).unlink()

    assert place(roots, output) == "made/films/cut.mp4: the file that was made for it is gone"


async def test_output_in_a_root_that_is_away_can_be_placed_later(roots: Roots, root: Path) -> None:
    output = await staged(roots)
    move(root, root.with_name("away"))

    with pytest.raises(TransientError, match="mount it"):
        place(roots, output)

    move(root.with_name("away"), root)
    assert place(roots, output) == ""


@pytest.mark.parametrize(
    ("root_name", "staged_path", "path", "says"),
    [
        ("kept", WHOLE, "films/cut.mp4", "read-only"),
        ("none", WHOLE, "films/cut.mp4", "does not reach"),
        ("made", WHOLE, "../cut.mp4", r"\.\."),
        ("made", WHOLE, "cut.mp4", "lies in another folder"),
    ],
)
async def test_output_that_cannot_lie_there_says_why(
    roots: Roots, root: Path, root_name: str, staged_path: str, path: str, says: str
) -> None:
    await staged(roots)
    output = Output(root=root_name, staged_path=staged_path, path=path)

    with pytest.raises(AssertionError, match=says):
        raise AssertionError(place(roots, output))
    assert files(root) == [WHOLE]


@pytest.mark.parametrize("give", [give_name, link_name])
def test_name_is_given_once_by_whatever_the_file_system_offers(
    root: Path, give: Callable[[int, str, int, str], None]
) -> None:
    (root / "a").write_bytes(b"a")
    (root / "b").write_bytes(b"b")
    folder_fd = os.open(root, os.O_RDONLY)
    try:
        give(folder_fd, "a", folder_fd, "c")
        with pytest.raises(FileExistsError):
            give(folder_fd, "b", folder_fd, "c")
        with pytest.raises(FileNotFoundError):
            give(folder_fd, "a", folder_fd, "d")
    finally:
        os.close(folder_fd)
    assert files(root) == ["b", "c"]
    assert (root / "c").read_bytes() == b"a"


async def test_file_system_without_such_a_rename_gets_links(
    roots: Roots, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_renameat2", renaming.without_renameat2)
    output = await staged(roots)

    assert place(roots, output) == ""
    assert files(root) == ["films/cut.mp4"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("films/taken.mp4", "something at this path already"),
        ("films/.hidden.mp4", "under this name"),
        ("", "under this name"),
        ("films/../../cut.mp4", r"\.\."),
    ],
)
async def test_what_nobody_can_have_is_refused_before_the_work(
    roots: Roots, root: Path, path: str, says: str
) -> None:
    (root / "films").mkdir()
    (root / "films/taken.mp4").write_bytes(b"")

    with pytest.raises(BadInputError, match=says):
        await stage_wanted(roots, "made", path, LEASE)
    assert files(root) == ["films/taken.mp4"]


async def test_long_names_stay_apart_and_find_their_place(roots: Roots, root: Path) -> None:
    names = [("é" * 125) + end for end in ("a.mp4", "b.mp4")]
    outputs = [await staged(roots, name, name.encode()) for name in names]

    assert outputs[0].staged_path != outputs[1].staged_path
    assert all(len(one.staged_path.encode()) < NAME_BYTES_MAX + 70 for one in outputs)
    assert all(leased_name(one.staged_path) is not None for one in outputs)
    assert [place(roots, one) for one in outputs] == ["", ""]
    assert files(root) == names
    assert (root / names[1]).read_bytes() == names[1].encode()
