"""When schedules fire, whoever asks, however often and however late: laws for arbitrary lives."""

from dataclasses import replace

import pytest
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.schedules import (
    FIRING_MAX_S,
    LATE_S,
    CatchUp,
    Schedule,
    Template,
    Timetable,
    begun,
    due_at,
    fired,
    firing_of,
    job_id_of,
    next_due,
)
from hypothesis import assume, given
from hypothesis import strategies as st

NIGHT = 1_790_000_000.0 - 1_790_000_000.0 % 86_400
DAY_S = 86_400.0

SCHEDULE = Schedule(
    name="nightly",
    cron="0 3 * * *",
    time_zone="UTC",
    jitter_s=0.0,
    catch_up=CatchUp.LAST,
    catch_up_max=3,
    template=Template(
        type="scan", params="{}", priority=0, interactive=False, vram_mib=None, max_retries=None
    ),
    created_at=NIGHT,
    decided_at=NIGHT,
)
THREE = NIGHT + 3 * 3600.0

CRONS = st.sampled_from(["0 3 * * *", "*/7 * * * *", "15 */5 * * *", "0 12 * * 1", "*/40 * * * * *"])
SCHEDULES = st.builds(
    replace,
    st.just(SCHEDULE),
    cron=CRONS,
    jitter_s=st.sampled_from([0.0, 30.0, 1800.0, 86_400.0]),
    catch_up=st.sampled_from(list(CatchUp)),
    catch_up_max=st.integers(1, 5),
)


def after(schedule: Schedule, now: float) -> tuple[Schedule, list[float]]:
    """Return the schedule after whatever it does at *now*, and the ticks it fired."""
    beginning = begun(schedule, now)
    firing = firing_of(beginning, now)
    if firing is None:
        return schedule, []
    job_ids = {tick: job_id_of(beginning, tick) for tick in firing.ticks}
    return fired(beginning, firing, job_ids, None), list(firing.ticks)


def test_tick_is_fired_when_it_is_due_and_not_again() -> None:
    assert next_due(SCHEDULE) == THREE
    assert firing_of(SCHEDULE, THREE - 0.001) is None
    done, ticks = after(SCHEDULE, THREE)
    assert ticks == [THREE]
    assert firing_of(done, THREE + 3600) is None
    assert next_due(done) == THREE + DAY_S
    assert (done.last_tick, done.last_job_id) == (THREE, job_id_of(SCHEDULE, THREE))


@pytest.mark.parametrize(
    ("catch_up", "days"), [(CatchUp.NONE, []), (CatchUp.LAST, [9]), (CatchUp.ALL, [7, 8, 9])]
)
def test_missed_ticks_are_caught_up_as_the_schedule_says(catch_up: CatchUp, days: list[int]) -> None:
    schedule = replace(SCHEDULE, catch_up=catch_up)
    now = THREE + 9.5 * DAY_S
    done, ticks = after(schedule, now)
    assert ticks == [THREE + day * DAY_S for day in days]
    assert firing_of(done, now) is None
    assert next_due(done) == THREE + 10 * DAY_S


def test_change_of_leaders_misses_no_tick() -> None:
    schedule = replace(SCHEDULE, catch_up=CatchUp.NONE)
    assert after(schedule, THREE + LATE_S)[1] == [THREE]
    assert after(schedule, THREE + LATE_S + 1)[1] == []


def test_paused_schedule_does_nothing() -> None:
    paused = replace(SCHEDULE, paused_at=NIGHT)
    assert firing_of(paused, THREE) is None
    assert next_due(paused) is None


def test_firing_that_is_repeated_gives_the_same_ids_days_after_the_tick() -> None:
    first = begun(replace(SCHEDULE, catch_up=CatchUp.ALL), THREE + 3 * DAY_S)
    again = begun(first, THREE + 3 * DAY_S + 3600)
    firing, repeated = firing_of(first, THREE + 3 * DAY_S), firing_of(again, THREE + 3 * DAY_S + 3600)
    assert firing is not None
    assert firing == repeated
    ids = [job_id_of(first, tick) for tick in firing.ticks]
    assert ids == [job_id_of(again, tick) for tick in firing.ticks]
    assert len(set(ids)) == 3
    now = THREE + 3 * DAY_S
    assert all(now - DAY_S <= instant_of(job_id) <= now for job_id in ids)


def test_firing_that_nobody_can_tell_the_end_of_is_not_repeated() -> None:
    first = begun(SCHEDULE, THREE)
    later = THREE + FIRING_MAX_S + 1
    again = begun(first, later)
    assert firing_of(again, later) is None
    assert next_due(again) == THREE + DAY_S


def test_firing_that_has_nothing_left_to_fire_holds_no_later_tick_back() -> None:
    resumed = replace(SCHEDULE, decided_at=THREE + 1)  # while its firing began
    assert begun(resumed, THREE + 2) == resumed
    empty = replace(resumed, firing_at=THREE + 2)
    assert begun(empty, THREE + 3) == resumed

    again = begun(empty, THREE + DAY_S)

    assert again.firing_at == THREE + DAY_S
    firing = firing_of(again, THREE + DAY_S)
    assert firing is not None
    assert firing.ticks == (THREE + DAY_S,)


def test_schedule_that_is_removed_and_added_again_is_another_one() -> None:
    again = replace(SCHEDULE, created_at=NIGHT + 1)
    assert job_id_of(again, THREE) != job_id_of(SCHEDULE, THREE)


def instant_of(job_id: JobId) -> float:
    return int(job_id[:8] + job_id[9:13], 16) / 1000


@given(tick=st.integers(0, 2**36), name=st.sampled_from(["a", "b"]))
def test_id_is_a_uuid_of_version_7_that_names_the_tick(tick: int, name: str) -> None:
    job_id = job_id_of(replace(SCHEDULE, name=name), float(tick))
    assert (len(job_id), job_id[14], job_id[19] in "89ab") == (36, "7", True)
    assert [job_id[at] for at in (8, 13, 18, 23)] == ["-"] * 4
    assert instant_of(job_id) == tick


@given(schedule=SCHEDULES)
def test_jitter_keeps_the_order_of_the_ticks(schedule: Schedule) -> None:
    position = schedule.decided_at
    for _ in range(20):
        due = next_due(replace(schedule, decided_at=position))
        assert due is not None
        firing = firing_of(replace(schedule, decided_at=position, catch_up=CatchUp.LAST), due)
        assert firing is not None
        [tick] = firing.ticks
        assert tick <= due == due_at(schedule, tick) < tick + max(schedule.jitter_s, 0.001)
        following = next_due(replace(schedule, decided_at=tick))
        assert following is not None
        assert due < following
        position = tick


@given(schedule=SCHEDULES, steps_s=st.lists(st.floats(0.1, 90_000.0), max_size=40), data=st.data())
def test_each_tick_is_fired_at_most_once_whoever_leads_and_however_often_it_fails(
    schedule: Schedule, steps_s: list[float], data: st.DataObject
) -> None:
    """A leader may die at any point of a firing; the next one goes on from what was written."""
    ids: dict[float, set[JobId]] = {}
    now, kept = NIGHT, schedule
    for step_s in steps_s:
        now += step_s
        dies = data.draw(st.sampled_from(["never", "before", "between", "after"]))
        beginning = begun(kept, now)
        firing = firing_of(beginning, now)
        if firing is None or dies == "before":
            continue
        kept = beginning
        if dies == "between":
            continue
        for tick in firing.ticks:
            assert tick > schedule.decided_at
            assert due_at(schedule, tick) <= now
            ids.setdefault(tick, set()).add(job_id_of(kept, tick))
            assert now - DAY_S < instant_of(job_id_of(kept, tick)) <= now
        if dies != "after":
            kept = fired(kept, firing, {tick: job_id_of(kept, tick) for tick in firing.ticks}, None)
    assert all(len(of_tick) == 1 for of_tick in ids.values())
    every = [job_id for of_tick in ids.values() for job_id in of_tick]
    assert len(set(every)) == len(every)


@given(schedule=SCHEDULES, steps_s=st.lists(st.floats(0.1, 50.0), max_size=60))
def test_nobody_misses_a_tick_who_looks_often_enough(schedule: Schedule, steps_s: list[float]) -> None:
    assume(len(schedule.cron.split()) == 5)
    now, kept = NIGHT, schedule
    seen: list[float] = []
    for step_s in steps_s:
        now += step_s
        kept, ticks = after(kept, now)
        seen += ticks
    wanted: list[float] = []
    position = schedule.decided_at
    while (due := next_due(replace(schedule, decided_at=position))) is not None and due <= now:
        firing = firing_of(replace(schedule, decided_at=position, catch_up=CatchUp.LAST), due)
        assert firing is not None
        position = firing.decided_at
        wanted.append(position)
    assert seen == wanted


def test_timetable_knows_who_is_due() -> None:
    timetable = Timetable()
    other = replace(SCHEDULE, name="weekly", cron="0 4 * * 1")
    timetable.put(SCHEDULE)
    timetable.put(other)
    assert list(timetable.due(THREE - 1)) == []
    assert list(timetable.due(THREE)) == [SCHEDULE]
    timetable.put(replace(SCHEDULE, paused_at=NIGHT))
    assert list(timetable.due(THREE)) == []
    timetable.put(SCHEDULE)
    timetable.remove("nightly")
    assert list(timetable.due(THREE)) == []
    assert list(timetable.by_name) == ["weekly"]
    assert timetable.next_due("nightly") is None
