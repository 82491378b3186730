"""What a browser is told that an original is."""

import pytest
from callsheet_gateway.media.media_types import BYTES, disposition, media_type
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media.kinds import Family
from callsheet.v1.library_service_pb2 import ItemFacts, ItemState, MediaKind

SAFE = ("image/", "video/", "audio/")


@pytest.mark.parametrize("kind", [kind for kind in MediaKind.values() if kind])
@pytest.mark.parametrize(
    "name", [*(family.value for family in Family), "mp4", "webm", "3gp", "", "svg", "html"]
)
def test_only_what_no_browser_runs_has_a_type_of_its_own(kind: MediaKind.ValueType, name: str) -> None:
    facts = ItemFacts(kind=kind, format=name, state=ItemState.ITEM_STATE_OK, path="x.html")
    said = media_type(facts)
    assert said in {BYTES, "application/pdf"} or said.startswith(SAFE)
    assert "svg" not in said
    facts.state = ItemState.ITEM_STATE_BROKEN
    assert media_type(facts) == BYTES


@pytest.mark.parametrize("family", list(Family))
def test_every_format_that_is_read_has_a_type(family: Family) -> None:
    said = {
        media_type(ItemFacts(kind=kind, format=family.value, state=ItemState.ITEM_STATE_OK))
        for kind in MediaKind.values()
    }
    assert said - {BYTES}


@given(st.text(), st.booleans())
def test_any_name_is_one_harmless_header(name: str, inline: bool) -> None:  # noqa: FBT001 -- a case
    said = disposition(name, inline=inline)
    assert said.isascii()
    assert said.isprintable()
    assert said.count('"') == 2
    assert said.startswith("inline; " if inline else "attachment; ")
