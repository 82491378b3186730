"""A folder is named by its root, by where it lies on this machine, or inside the default root."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.cli.places import Place, find_place
from callsheet.errors import InvalidError


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "media" / "holidays" / "2030").mkdir(parents=True)
    (tmp_path / "media" / "inner").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "media" / "holidays")
    return {"library": tmp_path / "media", "inner": tmp_path / "media" / "inner"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("library:", Place(root="library")),
        ("archive:a/b", Place(root="archive", path="a/b")),
        ("library:./a//b/", Place(root="library", path="a/b")),
        ("{here}/media", Place(root="library")),
        ("{here}/media/holidays/2030", Place(root="library", path="holidays/2030")),
        ("{here}/media/not-there-yet.jpg", Place(root="library", path="not-there-yet.jpg")),
        ("{here}/media/inner/a", Place(root="inner", path="a")),
        ("{here}/link/2030", Place(root="library", path="holidays/2030")),
        ("{here}/media/holidays/../inner", Place(root="inner")),
        ("media/holidays", Place(root="library", path="holidays")),
        ("./media", Place(root="library")),
        (".", Place(root="library")),
        ("", Place(root="library")),
        ("holidays/2030", Place(root="library", path="holidays/2030")),
    ],
)
def test_what_names_a_place(text: str, place: Place, tmp_path: Path, roots: dict[str, Path]) -> None:
    assert find_place(text.format(here=tmp_path), here=tmp_path, roots=roots, field="DIR") == place


def test_inside_a_root_a_relative_folder_is_taken_from_where_one_stands(
    tmp_path: Path, roots: dict[str, Path]
) -> None:
    here = tmp_path / "media" / "holidays"

    assert find_place(".", here=here, roots=roots, field="DIR") == Place(root="library", path="holidays")
    assert find_place("..", here=here, roots=roots, field="DIR") == Place(root="library")


@pytest.mark.parametrize(
    "text",
    [
        "/etc",
        "{here}",
        "{here}/elsewhere",
        "./elsewhere",
        "..",
        "../x",
        "library:../x",
        "library:/x",
        "a\x00b",
        "a:\x00",
    ],
)
def test_what_lies_outside_is_refused_with_its_field(
    text: str, tmp_path: Path, roots: dict[str, Path]
) -> None:
    with pytest.raises(InvalidError) as caught:
        find_place(text.format(here=tmp_path), here=tmp_path, roots=roots, field="DIR")

    assert caught.value.field == "DIR"


def test_where_roots_lie_must_be_known_to_name_a_folder_of_this_machine(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="write ROOT:PATH"):
        find_place("/media/x", here=tmp_path, roots={}, field="DIR")


@given(st.text(alphabet="ab/.~:\\ \x00", max_size=12))
def test_no_text_leads_out_of_a_root(text: str) -> None:
    try:
        place = find_place(text, here=Path("/nowhere"), roots={"library": Path("/media")}, field="DIR")
    except InvalidError:
        return
    assert not place.path.startswith("/")
    assert not {"..", "."} & set(place.path.split("/"))
