"""The laws of live events: how often a job is told of, what a listener may have missed, and their text."""

from collections import Counter

import pytest
from callsheet_gateway.live import sse
from callsheet_gateway.live.pace import WINDOW_S, Pace
from callsheet_gateway.live.ring import About, Ring, Wanted
from hypothesis import given
from hypothesis import strategies as st

MARK = "0123456789abcdef"


def events_in(text: str) -> list[tuple[str, str, str]]:
    """Return name, id and data of each event as the WHATWG's parser reads them."""
    found: list[tuple[str, str, str]] = []
    name, last_id, data = "", "", list[str]()
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.append((name, last_id, "\n".join(data)))
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "id":
            last_id = value
        elif field == "data":
            data.append(value)
    return found


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 0.6)), max_size=200))
def test_no_key_passes_more_than_four_times_in_any_second_and_the_newest_is_told_in_the_end(
    offers: list[tuple[int, float]],
) -> None:
    pace: Pace[int, int] = Pace(4)
    passed: list[tuple[float, int, int]] = []
    newest: dict[int, int] = {}
    held: dict[int, int] = {}
    now = 0.0
    for number, (key, pause_s) in enumerate(offers):
        now += pause_s
        for value in pace.released(now):
            released_key = next(one for one, kept in held.items() if kept == value)
            passed.append((now, released_key, held.pop(released_key)))
        newest[key] = number
        if pace.offer(key, number, now):
            passed.append((now, key, number))
        else:
            held[key] = number
    now += WINDOW_S
    passed += [(now, key, held[key]) for value in pace.released(now) for key in held if held[key] == value]
    assert pace.released(now + WINDOW_S) == []
    assert {key: value for _, key, value in passed} == newest
    for at, key, _ in passed:
        assert len([1 for other, same, _ in passed if same == key and at <= other < at + WINDOW_S]) <= 4


def test_first_four_changes_of_a_second_are_not_held_back() -> None:
    pace: Pace[str, int] = Pace(4)
    assert [pace.offer("a", number, number / 10) for number in range(6)] == [True] * 4 + [False] * 2
    assert pace.released(0.99) == []
    assert pace.released(1.0) == [5]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 10))
def test_listener_that_comes_back_hears_exactly_what_it_missed_or_that_it_missed_some(
    before: int, after: int, kept: int
) -> None:
    ring = Ring(MARK, events_max=kept)
    for number in range(before):
        ring.add("job", str(number))
    left_at = ring.id_of(ring.last)
    for number in range(after):
        ring.add("job", str(before + number))
    place = ring.place_of(left_at)
    assert (place is None) == (after > kept)
    if place is not None:
        told = events_in(b"".join(one.text for one in ring.after(place, 10**6)).decode())
        assert [data for _, _, data in told] == [str(before + number) for number in range(after)]
        assert [event_id for _, event_id, _ in told] == [
            ring.id_of(before + number + 1) for number in range(after)
        ]


@given(st.lists(st.integers(0, 300), max_size=60))
def test_events_that_are_kept_are_never_larger_together_than_allowed(sizes: list[int]) -> None:
    ring = Ring(MARK, bytes_max=1000)
    for size in sizes:
        ring.add("job", "x" * size)
        kept = ring.after(ring.first - 1, 10**6)
        assert sum(len(one.text) for one in kept) <= 1000
        assert kept or size > 900 - len("event: job")
        piece = ring.after(ring.first - 1, 500)
        assert len(piece) <= 1 or sum(len(one.text) for one in piece) <= 500
        assert bool(piece) == bool(kept)


@pytest.mark.parametrize(
    "event_id", ["", "1", f"{MARK}-4", f"{MARK}--1", "fedcba9876543210-1", f"{MARK}-1\n", f"{MARK}-{10**30}"]
)
def test_id_that_no_event_of_this_ring_can_have_leads_nowhere(event_id: str) -> None:
    ring = Ring(MARK)
    for _ in range(3):
        ring.add("job", "{}")
    assert ring.place_of(event_id) is None
    assert [ring.place_of(f"{MARK}-{number}") for number in range(4)] == [0, 1, 2, 3]


def test_filters_pass_a_job_that_has_what_is_wanted_or_had_it_before() -> None:
    statuses = frozenset({"pending", "running"})
    about = About(job_type="scan", collection="iceland", submitted_by="key:a", statuses=statuses)
    passed = Counter(
        wanted.passes(about)
        for wanted in (
            Wanted(),
            Wanted(types=frozenset({"scan", "validate"})),
            Wanted(statuses=frozenset({"pending"})),
            Wanted(statuses=frozenset({"running"}), collection="iceland", submitted_by="key:a"),
        )
    )
    assert passed == {True: 4}
    for wanted in (
        Wanted(types=frozenset({"validate"})),
        Wanted(statuses=frozenset({"failed"})),
        Wanted(types=frozenset({"scan"}), collection="norway"),
        Wanted(submitted_by="key:b"),
    ):
        assert not wanted.passes(about)
        assert wanted.passes(None)


@given(st.text())
def test_any_text_arrives_with_its_lines(text: str) -> None:
    told = events_in(sse.event(text, name="log", event_id="7").decode("utf-8", "surrogatepass"))
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert told == [("log", "7", lines)]
