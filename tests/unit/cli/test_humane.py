"""Sizes, durations and instants as people read them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.cli.humane import ago_text, duration_text, size_text

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3_030_106, "3.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (1_234_000_000_000, "1.2 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (-1.0, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200.0, "3 min 20 s"),
        (3600.0, "1 h"),
        (3900.0, "1 h 5 min"),
        (90_000.0, "1 d 1 h"),
        (86_400.0 * 400, "400 d"),
    ],
)
def test_durations(duration_s: float, text: str) -> None:
    assert duration_text(duration_s) == text


@given(st.floats(0, 1e9))
def test_no_duration_is_written_with_more_than_two_units(duration_s: float) -> None:
    assert len(duration_text(duration_s).split()) in {2, 4}


@pytest.mark.parametrize(
    ("passed_s", "text"),
    [(0.4, "now"), (-0.4, "now"), (7.0, "7 s ago"), (-7.2, "in 7 s"), (7200.0, "2 h ago")],
)
def test_instants(passed_s: float, text: str) -> None:
    assert ago_text(NOW - timedelta(seconds=passed_s), NOW) == text
