"""The ticks of cron expressions, across changes of the clock too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from callsheet_scheduler.domain.cron import check_cron, newest_ticks, next_tick
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import InvalidError

BERLIN = "Europe/Berlin"
ZONES = ("UTC", BERLIN, "America/New_York", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu")

YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def ticks(cron: str, after: float, until: float, zone: str = BERLIN) -> list[str]:
    found = newest_ticks(cron, zone, after, until, 1000)
    return [datetime.fromtimestamp(tick, ZoneInfo(zone)).strftime("%d %H:%M %z") for tick in found]


def test_tick_is_later_than_the_instant_it_comes_after() -> None:
    tick = next_tick("0 3 * * *", BERLIN, at("2026-05-01T03:00"))
    assert tick == at("2026-05-02T03:00")
    assert next_tick("0 3 * * *", BERLIN, at("2026-05-01T03:00") - 0.001) == at("2026-05-01T03:00")


def test_time_that_the_clock_leaves_out_ticks_when_it_has_changed() -> None:
    night = at("2026-03-28T12:00"), at("2026-03-30T12:00")
    assert ticks("30 2 * * *", *night) == ["29 03:00 +0200", "30 02:30 +0200"]


def test_time_that_comes_twice_ticks_once() -> None:
    night = at("2026-10-24T12:00"), at("2026-10-26T12:00")
    assert ticks("30 2 * * *", *night) == ["25 02:30 +0200", "26 02:30 +0100"]
    between = at("2026-10-25T02:10", fold=1)
    assert next_tick("30 2 * * *", BERLIN, between) == at("2026-10-26T02:30")


def test_every_half_hour_means_so_much_real_time() -> None:
    night = at("2026-10-25T01:40"), at("2026-10-25T03:10")
    assert ticks("*/30 * * * *", *night) == [
        "25 02:00 +0200",
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
        "25 03:00 +0100",
    ]
    spring = at("2026-03-29T01:10"), at("2026-03-29T03:10")
    assert ticks("*/30 * * * *", *spring) == ["29 01:30 +0100", "29 03:00 +0200"]


def test_six_fields_begin_with_seconds() -> None:
    assert newest_ticks("*/20 * * * * *", "UTC", 0.0, 65.0, 9) == [20.0, 40.0, 60.0]


def test_newest_ticks_are_found_after_years() -> None:
    until = at("2026-12-01T00:00")
    assert newest_ticks("0 0 29 2 *", BERLIN, 0.0, until, 2) == [
        at("2020-02-29T00:00"),
        at("2024-02-29T00:00"),
    ]
    assert newest_ticks("* * * * *", BERLIN, 0.0, until, 1) == [until]


@pytest.mark.parametrize(
    ("cron", "zone", "field", "said"),
    [
        ("0 3 * *", "UTC", "cron", "wrong number of fields"),
        ("61 3 * * *", "UTC", "cron", "bad minute"),
        ("0 0 30 2 *", "UTC", "cron", "bad day-of-month"),
        ("", "UTC", "cron", "wrong number of fields"),
        ("@daily", "UTC", "cron", "no cron expression"),
        ("0 " * 120, "UTC", "cron", "at most 200"),
        ("0 3 * * *", "Middle/Earth", "time_zone", "no time zone"),
        ("0 3 * * *", "../UTC", "time_zone", "no time zone"),
        ("0 3 * * *", "Europe", "time_zone", "no time zone"),
        ("0 3 * * *", "", "time_zone", "no time zone"),
        ("0 3 * * *", "U\0TC", "time_zone", "no time zone"),
    ],
)
def test_what_names_no_instants_is_refused(cron: str, zone: str, field: str, said: str) -> None:
    with pytest.raises(InvalidError, match=said) as caught:
        check_cron(cron, zone, YEAR_2026)
    assert caught.value.field == field


@given(cron=st.text("0123456789*/,-#LW MONJAN", max_size=24) | st.text(max_size=12))
def test_any_text_is_an_expression_or_is_refused(cron: str) -> None:
    try:
        check_cron(cron, BERLIN, YEAR_2026)
    except InvalidError:
        return
    assert next_tick(cron, BERLIN, YEAR_2026) is not None


FIELD = st.one_of(
    st.just("*"),
    st.integers(2, 13).map("*/{}".format),
    st.lists(st.integers(0, 23), min_size=1, max_size=3).map(lambda hours: ",".join(map(str, hours))),
)
MARCH_TO_NOVEMBER = st.integers(int(YEAR_2026), int(YEAR_2026) + 366 * 86_400)


@given(
    minute=FIELD,
    hour=FIELD,
    zone=st.sampled_from(ZONES),
    start=MARCH_TO_NOVEMBER,
    span_s=st.integers(0, 9 * 3600),
    share=st.floats(0, 1),
)
def test_ticks_do_not_depend_on_where_one_begins_to_count(
    minute: str, hour: str, zone: str, start: int, span_s: int, share: float
) -> None:
    cron, end = f"{minute} {hour} * * *", float(start + span_s)
    middle = start + span_s * share
    whole = newest_ticks(cron, zone, start, end, 1000)
    parts = newest_ticks(cron, zone, start, middle, 1000) + newest_ticks(cron, zone, middle, end, 1000)
    assert whole == parts
    assert whole == sorted(set(whole))
    assert all(start < tick <= end for tick in whole)
    assert newest_ticks(cron, zone, start, end, 2) == whole[-2:]
    assert next(
        (tick for tick in [next_tick(cron, zone, start)] if tick is not None and tick <= end), None
    ) == (whole[0] if whole else None)
