"""What is refused of tags before anything is written."""

import math
from dataclasses import replace
from typing import Any

import pytest
from callsheet_scheduler.domain.library import LibraryChanges, check_changes
from callsheet_scheduler.domain.tags import TagSet, check_asked, folded

from callsheet.errors import InvalidError

ITEM = "01890a5d-ac96-774b-bcce-b302099a8057"
SET = TagSet(item_id=ITEM, source_identity="aa", source="metadata", tags=(("video", 1.0),))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"tags": ()},
        {"source": "clip-b32@0123456789ab", "computed_on": "cuda", "tags": (("Käse & Brot", 0.0),)},
        {"tags": tuple((f"tag{n}", 0.5) for n in range(200))},
    ],
)
def test_set_that_can_be_written_is_taken(change: dict[str, Any]) -> None:
    check_changes(LibraryChanges(tags=(replace(SET, **change),)))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"item_id": "x"}, "item_id"),
        ({"source_identity": "XX"}, "source_identity"),
        ({"source": ""}, "source"),
        ({"source": "a model"}, "source"),
        ({"source": "clip@main"}, "source"),
        ({"computed_on": "tpu"}, "computed_on"),
        ({"tags": (("", 1.0),)}, "tags[0].name"),
        ({"tags": (("a\x00b", 1.0),)}, "tags[0].name"),
        ({"tags": (("x" * 101, 1.0),)}, "tags[0].name"),
        ({"tags": (("a", 1.0), ("b", 1.5))}, "tags[1].score"),
        ({"tags": (("a", math.nan),)}, "tags[0].score"),
        ({"tags": (("a", 1.0), ("a", 0.5))}, "tags"),
        ({"tags": tuple((f"tag{n}", 0.5) for n in range(201))}, "tags"),
    ],
)
def test_set_that_cannot_be_written_is_refused_by_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_changes(LibraryChanges(tags=(SET, replace(SET, **change))))
    assert caught.value.field == f"library.tags[1].{field}"


def test_thousand_tags_are_the_most_of_one_result() -> None:
    full = replace(SET, tags=tuple((f"tag{n}", 0.5) for n in range(200)))
    check_changes(LibraryChanges(tags=(full,) * 5))
    with pytest.raises(InvalidError, match="1001"):
        check_changes(LibraryChanges(tags=(*(full,) * 5, SET)))


def test_last_set_of_an_item_and_source_is_kept_with_its_job() -> None:
    later, other = replace(SET, tags=()), replace(SET, source="heuristic")

    assert folded([(SET, "a"), (other, "b"), (later, "c")]) == [(later, "c"), (other, "b")]


def test_list_asks_for_few_tags() -> None:
    check_asked(["a"] * 20, field="tags")
    with pytest.raises(InvalidError):
        check_asked(["a"] * 21, field="tags")
    with pytest.raises(InvalidError) as caught:
        check_asked(["a", ""], field="tags")
    assert caught.value.field == "tags[1]"
