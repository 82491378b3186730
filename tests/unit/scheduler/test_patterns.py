"""Text that a person types is looked for as it stands."""

import re

from callsheet_scheduler.store.patterns import any_case, below
from hypothesis import given
from hypothesis import strategies as st


@given(st.text("aZé.*[]()\\^$|?+{}% _", max_size=12), st.text(max_size=5), st.text(max_size=5))
def test_pattern_finds_its_text_in_any_case(text: str, before: str, behind: str) -> None:
    pattern = re.compile(any_case(text))
    for form in (text, text.upper(), text.lower(), text.swapcase()):
        assert pattern.search(before + form + behind)


@given(st.text("ab.*[", min_size=1, max_size=6), st.text("ab.*[", max_size=12))
def test_pattern_finds_nothing_else(text: str, other: str) -> None:
    found = re.search(any_case(text), other) is not None
    assert found == (text in other)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), st.text(max_size=5))
def test_range_of_a_folder_holds_just_what_lies_below_it(folder: str, other: str) -> None:
    first, end = (bound.encode("utf-8", "surrogatepass") for bound in below(folder))
    for path in (f"{folder}/{other}", f"{folder}{other}", other):
        inside = first <= path.encode("utf-8", "surrogatepass") < end
        assert inside == path.startswith(f"{folder}/")
