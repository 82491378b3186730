"""A file_path leads into exactly the root that holds it, and never out of one."""

from pathlib import Path, PurePosixPath

import pytest
from callsheet_gateway.media.places import place_of
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import NotFoundError

ROOTS = {
    "library": Path("/srv/media"),
    "inbox": Path("/srv/media/inbox"),
    "derivatives": Path("/srv/derivatives"),
}


@pytest.mark.parametrize(
    ("file_path", "place"),
    [
        ("/srv/media/a/b.jpg", ("library", "a/b.jpg")),
        ("/srv/media/inbox/b.jpg", ("inbox", "b.jpg")),
        ("/srv//media/./a/b.jpg", ("library", "a/b.jpg")),
        ("a/b.jpg", ("library", "a/b.jpg")),
        ("inbox:a/b.jpg", ("inbox", "a/b.jpg")),
        ("a:b.jpg", ("library", "a:b.jpg")),
        ("ü \n%2e.jpg", ("library", "ü \n%2e.jpg")),
    ],
)
def test_path_of_a_file_names_root_and_relative_path(file_path: str, place: tuple[str, str]) -> None:
    assert place_of(file_path, ROOTS, "library") == place


@pytest.mark.parametrize(
    "file_path",
    [
        "/etc/passwd",
        "/srv/media",
        "/srv/mediathek/a.jpg",
        "/srv/media/../secret",
        "/srv/media/a/../../secret",
        "/srv/derivatives/thumbnails/a.jpg",
        "../secret",
        "inbox:../a.jpg",
        "inbox:/etc/passwd",
        "inbox:",
        "derivatives:thumbnails/a.jpg",
        "a\x00.jpg",
        ".",
        "a" * 5000,
    ],
)
def test_path_outside_of_every_root_of_originals_is_refused(file_path: str) -> None:
    with pytest.raises(NotFoundError):
        place_of(file_path, ROOTS, "library")


def test_name_of_no_root_before_a_colon_is_a_part_of_the_file_name() -> None:
    assert place_of("derivatives:a.jpg", {"library": Path("/srv/media")}, "library") == (
        "library",
        "derivatives:a.jpg",
    )


def test_relative_path_needs_the_default_root() -> None:
    with pytest.raises(NotFoundError, match="roots: inbox"):
        place_of("a.jpg", {"inbox": Path("/srv/inbox")}, "library")


@given(st.text(alphabet=st.sampled_from("ab/.:\x00-~é"), max_size=40), st.sampled_from(["", "/srv/media/"]))
def test_no_path_leads_out_of_its_root(text: str, before: str) -> None:
    try:
        root, relative = place_of(before + text, ROOTS, "library")
    except NotFoundError:
        return
    assert root in {"library", "inbox"}
    parts = PurePosixPath(relative).parts
    assert parts
    assert parts[0] != "/"
    assert ".." not in parts


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_three_ways_to_name_a_file_agree(parts: list[str]) -> None:
    relative = "/".join(parts)
    roots = {"library": Path("/srv/media")}
    places = {
        place_of(name, roots, "library")
        for name in (relative, f"library:{relative}", f"/srv/media/{relative}")
    }
    assert places == {("library", relative)}
