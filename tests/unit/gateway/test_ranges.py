"""Ranges and entity tags as RFC 9110 has them."""

import pytest
from callsheet_gateway.media.ranges import Part, UnsatisfiableError, Verdict, is_known, verdict, wanted_part
from hypothesis import given
from hypothesis import strategies as st

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Part(first=0, last=0)),
        ("bytes=2-4", Part(first=2, last=4)),
        ("bytes=2-", Part(first=2, last=9)),
        ("bytes=2-99", Part(first=2, last=9)),
        ("bytes=-3", Part(first=7, last=9)),
        ("bytes=-99", Part(first=0, last=9)),
    ],
)
def test_one_range_of_bytes_gets_its_part(header: str, part: Part) -> None:
    assert wanted_part(header, "", ETAG, 10) == part


@pytest.mark.parametrize(
    "header", ["", "bytes=", "bytes=4-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=--1", "0-1"]
)
def test_what_is_not_one_range_of_bytes_gets_the_whole(header: str) -> None:
    assert wanted_part(header, "", ETAG, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-11", "bytes=-0"])
def test_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted_part(header, "", ETAG, 10)


def test_nothing_of_an_empty_representation_can_be_had() -> None:
    with pytest.raises(UnsatisfiableError):
        wanted_part("bytes=-1", "", ETAG, 0)


def test_range_of_another_version_gets_the_whole() -> None:
    assert wanted_part("bytes=0-1", '"old"', ETAG, 10) is None
    assert wanted_part("bytes=0-1", f"W/{ETAG}", ETAG, 10) is None
    assert wanted_part("bytes=0-1", ETAG, ETAG, 10) == Part(first=0, last=1)


@given(st.integers(0, 200), st.one_of(st.none(), st.integers(0, 200)), st.integers(1, 150))
def test_a_part_lies_within_the_representation(first: int, last: int | None, size_bytes: int) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    content = bytes(index % 256 for index in range(size_bytes))
    try:
        part = wanted_part(header, "", ETAG, size_bytes)
    except UnsatisfiableError:
        assert first >= size_bytes
        return
    if part is None:
        assert last is not None
        assert last < first
    else:
        end = size_bytes if last is None else last + 1
        assert content[part.first : part.last + 1] == content[first:end]
        assert 0 <= part.first <= part.last < size_bytes


@given(st.text(max_size=60))
def test_any_header_is_answered_or_refused(header: str) -> None:
    try:
        part = wanted_part(header, "", ETAG, 10)
    except UnsatisfiableError:
        return
    assert part is None or 0 <= part.first <= part.last <= 9


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ("*", True),
        ("", False),
        ("abc", False),
        ('"abcd"', False),
        ('"x" , W/"y"', False),
    ],
)
def test_a_client_knows_what_one_of_its_tags_names(header: str, known: bool) -> None:  # noqa: FBT001 -- a case
    assert is_known(header, ETAG) is known


NEW_S, OLD_S = 1_000_000_000, 999_999_999
NEW, OLD = "Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:39 GMT"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, Verdict.SEND),
        ({"if-none-match": ETAG}, Verdict.KNOWN),
        ({"if-none-match": '"x"', "if-modified-since": NEW}, Verdict.SEND),
        ({"if-modified-since": NEW}, Verdict.KNOWN),
        ({"if-modified-since": OLD}, Verdict.SEND),
        ({"if-match": ETAG}, Verdict.SEND),
        ({"if-match": "*"}, Verdict.SEND),
        ({"if-match": f"W/{ETAG}"}, Verdict.REFUSED),
        ({"if-match": ""}, Verdict.REFUSED),
        ({"if-match": '"x"', "if-none-match": ETAG}, Verdict.REFUSED),
        ({"if-match": ETAG, "if-unmodified-since": OLD}, Verdict.SEND),
        ({"if-unmodified-since": NEW}, Verdict.SEND),
        ({"if-unmodified-since": OLD}, Verdict.REFUSED),
        ({"if-unmodified-since": "yesterday", "if-modified-since": "Mon, 99 Foo 2001"}, Verdict.SEND),
    ],
)
def test_conditions_are_weighed_in_their_order(headers: dict[str, str], said: Verdict) -> None:
    assert verdict(headers, ETAG, NEW_S) is said


@given(st.dictionaries(st.sampled_from(["if-modified-since", "if-unmodified-since", "if-match"]), st.text()))
def test_any_condition_is_weighed_or_passed_over(headers: dict[str, str]) -> None:
    assert verdict(headers, ETAG, OLD_S) in Verdict
