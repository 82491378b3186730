"""A bucket gives what it holds and gains, and never more."""

import pytest
from callsheet_gateway.access.buckets import Buckets, subscriber
from hypothesis import given
from hypothesis import strategies as st


def test_bucket_gives_its_burst_and_then_what_it_gains() -> None:
    buckets = Buckets(per_s=0.5, burst=2)
    assert [buckets.take("a", now=0.0) for _ in range(3)] == [0.0, 0.0, 2.0]
    assert buckets.take("b", now=0.0) == 0.0
    assert buckets.take("a", now=1.0) == pytest.approx(1.0)
    assert [buckets.take("a", now=2.0), buckets.wait_s("a", now=2.0)] == [0.0, 2.0]


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 10), st.integers(1, 5))
def test_no_more_is_given_than_burst_and_gain(pauses: list[float], per_s: float, burst: int) -> None:
    buckets = Buckets(per_s=per_s, burst=burst)
    now, given_out = 0.0, 0
    for pause in pauses:
        now += pause
        given_out += buckets.take("a", now=now) == 0.0
    assert given_out <= burst + per_s * now + 1e-6


def test_zero_is_without_a_limit_and_remembers_nothing() -> None:
    buckets = Buckets(per_s=0.0, burst=1)
    assert {buckets.take("a", now=0.0) for _ in range(100)} == {0.0}


def test_only_so_many_are_remembered_and_the_oldest_goes_first() -> None:
    buckets = Buckets(per_s=0.001, burst=1, kept_max=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name, now=0.0)
    assert buckets.take("a", now=0.0) > 0
    assert buckets.take("b", now=0.0) == 0.0


def test_addresses_of_one_subscriber_share_a_bucket() -> None:
    assert subscriber("2001:db8:1:2::3") == subscriber("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert subscriber("192.0.2.7") == "192.0.2.7"
    assert subscriber("unknown") == "unknown"
