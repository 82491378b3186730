"""A log is shown whole up to a limit, then by its first and last lines."""

from callsheet_gateway.excerpt import SHOWN_MAX, Excerpt
from hypothesis import given
from hypothesis import strategies as st

WHERE = "/api/media/jobs/x/log"


def excerpt(pieces: list[str], shown_max: int = 100) -> str:
    taken = Excerpt(shown_max)
    for piece in pieces:
        taken.add(piece)
    return taken.text(WHERE)


def lines(count: int) -> list[str]:
    return [f"[2026-02-13 10:30:00] line {number}\n" for number in range(count)]


@given(st.lists(st.text(max_size=40), max_size=10))
def test_short_log_is_shown_as_it_is(pieces: list[str]) -> None:
    whole = "".join(pieces)
    if len(whole) <= 100:
        assert excerpt(pieces) == whole


@given(st.integers(0, 40), st.integers(1, 50))
def test_how_a_log_is_cut_into_pieces_makes_no_difference(count: int, size: int) -> None:
    whole = "".join(lines(count))
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert excerpt(pieces) == excerpt([whole])


def test_long_log_shows_whole_lines_and_says_what_is_left_out() -> None:
    whole = "".join(lines(10_000))
    shown = excerpt([whole], SHOWN_MAX)
    head, mark, tail = shown.partition("--- ")
    assert whole.startswith(head)
    assert head.endswith("\n")
    words, _, tail = tail.partition("---\n")
    assert whole.endswith(tail)
    assert tail.startswith("[")
    assert mark
    assert f"{len(whole) - len(head) - len(tail):,} CHARACTERS LEFT OUT, ALL OF IT AT {WHERE}" in words
    assert len(shown) <= SHOWN_MAX + 100


@given(st.lists(st.text(alphabet="ab\n", max_size=60), max_size=30))
def test_no_excerpt_is_much_longer_than_the_limit(pieces: list[str]) -> None:
    assert len(excerpt(pieces)) <= 100 + 100
