"""Fetching models from a real server: whole, cut off, changed, hostile."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from callsheet.errors import ConflictError, InvalidError, UnavailableError
from callsheet.models.pull import pull, read_source
from callsheet.models.shelf import Installed, check_hashes, find, installed
from tests.support.model_server import Served, serving
from tests.support.onnx_models import REVISION, manifest_text, put_model, usual_files


@pytest.fixture
def files() -> dict[str, bytes]:
    return {**usual_files(), "README.md": b"What it is. " * 10_000}


@pytest.fixture
def served(files: dict[str, bytes]) -> Iterator[Served]:
    with serving({f"/{REVISION}/{path}": content for path, content in files.items()}) as server:
        yield server


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "models"


def manifest(served: Served, files: dict[str, bytes]) -> bytes:
    return manifest_text(files, url=f"{served.address}/{REVISION}/").encode()


def pulled(shelf: Path, content: bytes, *, replace: bool = False) -> Installed:
    def nobody(name: str, done: int, total: int) -> None:
        """Hear of progress, and forget it."""

    return pull(shelf, content, replace=replace, told=nobody)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_model_is_there_as_a_whole_once_it_is_pulled(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    seen: list[tuple[str, int, int]] = []

    def told(name: str, done: int, total: int) -> None:
        seen.append((name, done, total))

    made = pull(shelf, manifest(served, files), replace=False, told=told)

    assert names(made.folder) == sorted([*files, "manifest.toml"])
    assert installed(shelf) == [made]
    assert made.problem == ""
    check_hashes(made)
    assert ("README.md", 120_000, 120_000) in seen


def test_model_from_a_folder_of_this_machine(files: dict[str, bytes], shelf: Path, tmp_path: Path) -> None:
    source = tmp_path / REVISION
    source.mkdir()
    for path, content in files.items():
        (source / path).write_bytes(content)

    made = pulled(shelf, manifest_text(files, url=f"file://{source}/").encode())

    check_hashes(made)


def test_model_that_is_there_is_not_fetched_again(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    pulled(shelf, manifest(served, files))
    asked = len(served.asked)
    pulled(shelf, manifest(served, files))

    assert len(served.asked) == asked


def test_cut_leaves_no_model_and_the_next_pull_goes_on_behind_it(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    served.cut_at = 50_000
    with pytest.raises(UnavailableError, match=r"README\.md|pull again to go on"):
        pulled(shelf, manifest(served, files))
    assert installed(shelf) == []
    assert (shelf / ".colours.partial/README.md").stat().st_size == 50_000

    served.cut_at = None
    made = pulled(shelf, manifest(served, files))

    assert served.asked[-1] == (f"/{REVISION}/README.md", "bytes=50000-")
    check_hashes(made)


def test_server_that_cannot_begin_in_the_middle_gives_the_file_anew(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    served.cut_at = 50_000
    with pytest.raises(UnavailableError):
        pulled(shelf, manifest(served, files))
    served.cut_at, served.ranges = None, False

    check_hashes(pulled(shelf, manifest(served, files)))


def test_file_with_another_hash_is_refused_and_nothing_of_it_is_kept(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    path = f"/{REVISION}/image.onnx"
    served.files[path] = bytes([served.files[path][0] ^ 1]) + served.files[path][1:]

    with pytest.raises(InvalidError, match="SHA-256") as caught:
        pulled(shelf, manifest(served, files))

    assert caught.value.field == "image.onnx"
    assert installed(shelf) == []
    assert "image.onnx" not in names(shelf / ".colours.partial")


def test_file_with_more_bytes_than_promised_is_not_read_to_its_end(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    served.files[f"/{REVISION}/README.md"] += b"x" * 50_000_000

    with pytest.raises(InvalidError, match="more than the 120,000 bytes"):
        pulled(shelf, manifest(served, files))

    assert "README.md" not in names(shelf / ".colours.partial")


def test_pickle_is_refused_even_with_the_right_hash(files: dict[str, bytes], shelf: Path) -> None:
    files = files | {"image.onnx": b"\x80\x04\x95" + b"x" * 100}
    given = {f"/{REVISION}/{path}": content for path, content in files.items()}
    with serving(given) as served, pytest.raises(InvalidError, match="pickle"):
        pulled(shelf, manifest(served, files))

    assert installed(shelf) == []


def test_file_that_is_not_there_is_said_to_be_so(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    del served.files[f"/{REVISION}/labels.npy"]
    with pytest.raises(UnavailableError, match="404"):
        pulled(shelf, manifest(served, files))


@pytest.mark.parametrize(
    "elsewhere", ["http://models.example/x", "file:///etc/passwd", "ftp://models.example/x"]
)
def test_server_cannot_lead_on_to_anything_but_https(
    served: Served, files: dict[str, bytes], shelf: Path, elsewhere: str
) -> None:
    served.leads_to = elsewhere
    with pytest.raises(UnavailableError, match=r"HTTPS|not allowed"):
        pulled(shelf, manifest(served, files))


def test_other_model_of_the_same_name_stays_unless_it_is_to_be_replaced(
    served: Served, files: dict[str, bytes], shelf: Path
) -> None:
    before = put_model(shelf)
    with pytest.raises(ConflictError, match="--replace"):
        pulled(shelf, manifest(served, files))
    there = find(shelf, "colours")
    assert there is not None
    assert there.manifest == before

    made = pulled(shelf, manifest(served, files), replace=True)

    check_hashes(made)
    assert [path.name for path in shelf.iterdir() if not path.name.endswith(".lock")] == ["colours"]


def test_damaged_model_can_be_pulled_again(served: Served, files: dict[str, bytes], shelf: Path) -> None:
    made = pulled(shelf, manifest(served, files))
    (made.folder / "labels.npy").write_bytes(b"short")
    there = find(shelf, "colours")
    assert there is not None
    assert "labels.npy has 5 bytes" in there.problem

    check_hashes(pulled(shelf, manifest(served, files), replace=True))


def test_what_lies_in_the_partial_folder_and_does_not_belong_there_goes(
    served: Served, files: dict[str, bytes], shelf: Path, tmp_path: Path
) -> None:
    partial = shelf / ".colours.partial"
    (partial / "folder").mkdir(parents=True)
    (partial / "program.py").write_text("x")
    (tmp_path / "victim").write_text("mine")
    (partial / "image.onnx").symlink_to(tmp_path / "victim")

    made = pulled(shelf, manifest(served, files))

    assert names(made.folder) == sorted([*files, "manifest.toml"])
    assert (tmp_path / "victim").read_text() == "mine"


def test_file_of_a_model_is_never_reached_through_a_link(shelf: Path, tmp_path: Path) -> None:
    put_model(shelf)
    path = shelf / "colours/labels.npy"
    path.rename(tmp_path / "labels.npy")
    path.symlink_to(tmp_path / "labels.npy")

    there = find(shelf, "colours")

    assert there is not None
    assert "labels.npy cannot be opened" in there.problem


def test_folder_that_is_no_model_says_why(shelf: Path) -> None:
    put_model(shelf)
    (shelf / "empty").mkdir()
    (shelf / "wrong").mkdir()
    (shelf / "wrong/manifest.toml").write_text("name = 1")
    (shelf / "colours").rename(shelf / "shapes")

    problems = {one.name: one.problem for one in installed(shelf)}

    assert "No such file" in problems["empty"]
    assert problems["wrong"].startswith("manifest.toml, ")
    assert "names it colours" in problems["shapes"]


def test_manifest_from_an_address_needs_its_hash(served: Served, files: dict[str, bytes]) -> None:
    content = manifest(served, files)
    served.files["/manifest.toml"] = content
    place = f"{served.address}/manifest.toml"

    with pytest.raises(InvalidError, match="--sha256"):
        read_source(place, "")
    with pytest.raises(InvalidError, match="not the one of this SHA-256"):
        read_source(place, "0" * 64)
    assert read_source(place, hashlib.sha256(content).hexdigest()) == content
