"""Paths that try to leave their root, and walks."""

import os
from pathlib import Path

import pytest

from callsheet.errors import BadInputError, CapacityError, TransientError
from callsheet.service.settings import RootSettings
from callsheet.worker.storage import beneath
from callsheet.worker.storage.library import FoundFile, PassedOver, Roots, VanishedError, as_attempt_error


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "library" / "inner").mkdir(parents=True)
    (tmp_path / "library" / "inner" / "film.mp4").write_bytes(b"film")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return Roots({"library": RootSettings(path=tmp_path / "library")})


@pytest.fixture(params=["openat2", "walking"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "openat2":
        if not beneath.has_openat2():
            pytest.skip("this kernel has no openat2")
    else:
        monkeypatch.setattr(beneath, "has_openat2", lambda: False)


@pytest.mark.usefixtures("_way")
def test_file_is_read_by_its_relative_path(roots: Roots) -> None:
    with roots.open_file("library", "inner/film.mp4") as file:
        assert os.read(file.fd, 10) == b"film"
        assert file.size_bytes == 4
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.fd)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../secret.txt", r"\.\."),
        ("inner/../../secret.txt", r"\.\."),
        ("inner/..", r"\.\."),
        ("/etc/passwd", "relative"),
        ("inner/film.mp4\0.jpg", "NUL"),
        ("a" * 5000, "longer"),
        ("nothing.mp4", "no such file"),
        ("inner", "no regular file"),
        ("inner/film.mp4/more", "Not a directory"),
    ],
)
def test_path_that_leads_out_or_nowhere_is_refused_in_words(roots: Roots, path: str, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        roots.open_file("library", path)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("path", ["link.mp4", "folder/film.mp4", "out/secret.txt", "up"])
def test_no_symbolic_link_is_followed_even_inside_the_root(roots: Roots, tmp_path: Path, path: str) -> None:
    library = tmp_path / "library"
    (library / "link.mp4").symlink_to(library / "inner" / "film.mp4")
    (library / "folder").symlink_to("inner")
    (library / "out").symlink_to(tmp_path)
    (library / "up").symlink_to("../secret.txt")
    with pytest.raises(BadInputError, match="symbolic link"):
        roots.open_file("library", path)


def test_pipe_in_the_library_does_not_hold_the_worker_up(roots: Roots, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "library" / "pipe.mp4")
    with pytest.raises(BadInputError, match="no regular file"):
        roots.open_file("library", "pipe.mp4")


def test_unknown_root_names_those_that_are_reached(roots: Roots) -> None:
    with pytest.raises(BadInputError, match=r"'music'.*library"):
        roots.open_file("music", "a.mp3")


def test_root_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="mount it"):
        Roots({"disk": RootSettings(path=tmp_path / "gone")}).open_file("disk", "a.mp4")


def test_walk_is_in_order_and_passes_over_links_and_hidden_files(roots: Roots, tmp_path: Path) -> None:
    library = tmp_path / "library"
    for name in ("b.jpg", "a.jpg", ".hidden.jpg", "c.0123456789abcdef.partial"):
        (library / name).write_bytes(b"x")
    (library / ".trash").mkdir()
    (library / ".trash" / "old.jpg").write_bytes(b"x")
    (library / "linked").symlink_to(tmp_path)
    (library / "loop").symlink_to(library)
    found = list(roots.walk("library"))
    assert [one.path for one in found] == ["a.jpg", "b.jpg", "inner/film.mp4"]
    assert all(isinstance(one, FoundFile) and one.mtime_ns > 0 for one in found)
    assert [one.path for one in roots.walk("library", "inner")] == ["inner/film.mp4"]


def test_name_that_is_not_utf8_is_told_and_passed_over(roots: Roots, tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path / "library") + b"/bad\xff.jpg", os.O_CREAT | os.O_WRONLY))
    passed = [one for one in roots.walk("library") if isinstance(one, PassedOver)]
    assert len(passed) == 1
    assert "UTF-8" in passed[0].reason
    assert passed[0].path.encode()


def test_walk_of_a_linked_folder_is_refused(roots: Roots, tmp_path: Path) -> None:
    (tmp_path / "library" / "linked").symlink_to(tmp_path)
    with pytest.raises(BadInputError, match="symbolic link"):
        list(roots.walk("library", "linked"))


def test_read_only_root_keeps_its_files(roots: Roots, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="read-only"):
        roots.remove("library", "inner/film.mp4")
    assert (tmp_path / "library" / "inner" / "film.mp4").exists()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError(2, "No such file"), VanishedError),
        (PermissionError(13, "Permission denied"), BadInputError),
        (OSError(28, "No space left on device"), CapacityError),
        (OSError(122, "Disk quota exceeded"), CapacityError),
        (OSError(5, "Input/output error"), TransientError),
        (OSError(30, "Read-only file system"), BadInputError),
        (OSError(36, "File name too long"), BadInputError),
    ],
)
def test_errors_of_the_system_decide_about_a_retry(error: OSError, kind: type[Exception]) -> None:
    failure = as_attempt_error(error, "library/a.mp4")
    assert type(failure) is kind
    assert "library/a.mp4" in failure.message
