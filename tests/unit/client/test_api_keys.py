"""A key can be found in files, and what is mistyped is told from what could be one."""

from hypothesis import given
from hypothesis import strategies as st

from callsheet.api_keys import PATTERN, new_key, parse_key


def test_keys_are_of_one_form_and_never_the_same() -> None:
    keys = [new_key() for _ in range(200)]
    assert len({key.sha256 for key in keys}) == 200
    for key in keys:
        assert PATTERN.fullmatch(key.text)
        assert parse_key(key.text) == key
        assert key.text not in repr(key)


@given(st.integers(3, 51), st.sampled_from("0129AZaz"))
def test_one_wrong_character_is_noticed(at: int, character: str) -> None:
    text = new_key().text
    wrong = text[:at] + character + text[at + 1 :]
    assert (parse_key(wrong) is None) == (wrong != text)


@given(st.text(max_size=60))
def test_other_text_is_no_key(text: str) -> None:
    assert parse_key(text) is None
