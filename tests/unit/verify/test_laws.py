"""A history that went well breaks no law, and each law catches the history that breaks it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.verify.events import (
    Answer,
    AnyEvent,
    AttemptRow,
    CounterRow,
    FateHeard,
    Fault,
    Granted,
    Invoke,
    JobRow,
    LogRows,
    OutputRow,
    Progressed,
    ResultSent,
    Started,
    State,
    Told,
)
from callsheet.verify.history import arrange
from callsheet.verify.judge import LAWS, as_document, as_text, judge
from callsheet.verify.laws.urgency import Ranges
from callsheet.verify.recorder import Stamp
from tests.support.histories import (
    ATLAS,
    BOREA,
    changed,
    good_history,
    numbered,
    row,
    token,
    with_more,
    without,
)

Spoil = Callable[[list[AnyEvent]], list[AnyEvent]]

STAMP: Stamp = {"at": 50.0, "utc": 1050.0, "by": "tables", "machine": "here"}
EARLY: Stamp = {"at": 5.0, "utc": 1001.0, "by": "client", "machine": "here"}


def job_row(what: str, job: str, state: State) -> JobRow:
    return JobRow.model_validate(row(what, job, state, 0, 0) | dict(STAMP))


def broken(events: list[AnyEvent]) -> dict[str, set[str]]:
    """The laws that these events break, each with the jobs it names."""
    verdict = judge(arrange(events))
    return {law.name: {finding.job for finding in findings} for law, findings in verdict.broken}


def _sent(events: list[AnyEvent], job: str) -> float:
    return next(event.at for event in events if isinstance(event, ResultSent) and event.job == job)


def _longer_pause(events: list[AnyEvent]) -> list[AnyEvent]:
    return changed(events, Invoke, {"op": "resume"}, utc=1040.0)


def _passed_over(events: list[AnyEvent]) -> list[AnyEvent]:
    """Job *a*, first and acknowledged, is granted long after *c1*, which came later and is less urgent."""
    told = (Told(id="c1", state="pending"), Told(id="c2", state="pending"))
    known = changed(events, Answer, {"call": "client:1"}, utc=1001.0)
    both = with_more(known, Answer(**EARLY, call="client:4", outcome="ok", jobs=told))
    later = changed(both, JobRow, {"id": "a"}, granted_at=1008.0)
    return changed(later, JobRow, {"id": "c1"}, created_at=1002.0, granted_at=1004.0)


SPOILED: list[tuple[str, str, Spoil]] = [
    ("acknowledged", "a", lambda events: without(events, JobRow, id="a")),
    ("one place", "a", lambda events: with_more(events, job_row("live", "a", "pending"))),
    ("one place", "a", lambda events: changed(events, JobRow, {"id": "a"}, what="live")),
    ("asked for", "z", lambda events: with_more(events, job_row("done", "z", "cancelled"))),
    ("asked for", "f", lambda events: changed(events, JobRow, {"id": "a"}, state="failed")),
    ("all or none", "c2", lambda events: without(events, JobRow, id="c2")),
    (
        "all or none",
        "c1",
        lambda events: with_more(
            events,
            Answer(**STAMP, call="client:4", outcome="refused"),  # the call that made c1 and c2
        ),
    ),
    ("as asked", "a", lambda events: changed(events, JobRow, {"id": "a"}, priority=1)),
    ("as asked", "a", lambda events: changed(events, Answer, {"call": "client:3"}, outcome="ok")),
    ("follow-ups", "f", lambda events: without(events, JobRow, id="f")),
    ("follow-ups", "f", lambda events: changed(events, JobRow, {"id": "a"}, token=token(1, 99))),
    ("told", "a", lambda events: changed(events, JobRow, {"id": "a"}, state="failed")),
    ("told", "e", lambda events: changed(events, JobRow, {"id": "e"}, state="failed")),
    ("cancelled", "e", lambda events: changed(events, JobRow, {"id": "e"}, state="completed", attempt=1)),
    ("cancelled", "g", lambda events: changed(events, JobRow, {"id": "g"}, state="cancelled")),
    ("at rest", "g", lambda events: changed(events, JobRow, {"id": "g"}, what="live", state="pending")),
    ("durable first", "c1", lambda events: changed(events, Granted, {"job": "c1"}, token=token(1, 77))),
    (
        "one holder",
        "c1",
        lambda events: with_more(
            events, Granted(**STAMP, worker=ATLAS, job="c1", token=token(1, 4), attempt=1)
        ),
    ),
    ("one holder", "c1", lambda events: changed(events, JobRow, {"id": "c1"}, token=token(1, 1))),
    ("tokens rise", "b", lambda events: without(events, AttemptRow, job="b")),
    ("tokens rise", "b", lambda events: changed(events, JobRow, {"id": "b"}, token=token(1, 1), attempt=2)),
    (
        "tokens rise",
        "b",
        lambda events: changed(
            with_more(
                events,
                AttemptRow(**STAMP, job="b", number=2, token=token(1, 1), ended_at=1.0, outcome="failed"),
            ),
            JobRow,
            {"id": "b"},
            attempt=3,
        ),
    ),
    (
        "one completion",
        "h",
        lambda events: changed(events, FateHeard, {"job": "h", "fate": "stale"}, fate="committed"),
    ),
    ("one completion", "c1", lambda events: changed(events, JobRow, {"id": "c1"}, state="failed")),
    (
        "stale changes nothing",
        "c1",
        lambda events: changed(events, FateHeard, {"job": "c1"}, fate="stale"),
    ),
    (
        "stale changes nothing",
        "a",
        lambda events: changed(events, OutputRow, {"job": "a"}, token=token(1, 9)),
    ),
    ("stale changes nothing", "c1", lambda events: without(events, ResultSent, job="c1")),
    ("terms", "a", lambda events: changed(events, JobRow, {"id": "a"}, granted_at=1012.0)),
    ("legal steps", "j", lambda events: without(events, Invoke, op="retry")),
    ("legal steps", "c1", lambda events: changed(events, JobRow, {"id": "c1"}, attempt=0)),
    ("legal steps", "b", lambda events: changed(events, AttemptRow, {"job": "b"}, outcome="forgotten")),
    ("retries", "b", lambda events: changed(events, JobRow, {"id": "b"}, retry_count=4)),
    ("retries", "h", lambda events: changed(events, JobRow, {"id": "h"}, retry_count=1)),
    ("counts", "h", lambda events: changed(events, JobRow, {"id": "h"}, lost_count=4)),
    ("counts", "h", lambda events: changed(events, JobRow, {"id": "h"}, capacity_count=11)),
    ("reason", "g", lambda events: changed(events, ResultSent, {"job": "g"}, kind="transient")),
    ("reason", "g", lambda events: changed(events, ResultSent, {"job": "g"}, outcome="returned")),
    ("reason", "h", lambda events: changed(events, JobRow, {"id": "h"}, state="failed", lost_count=3)),
    ("rescue", "h", lambda events: changed(events, AttemptRow, {"job": "h"}, ended_at=1020.0)),
    (
        "limits",
        "f",
        lambda events: changed(events, Granted, {"job": "f"}, at=_sent(events, "c2") - 0.01),
    ),
    ("paused", "k", lambda events: changed(_longer_pause(events), JobRow, {"id": "k"}, granted_at=1030.0)),
    (
        "drained",
        "c1",
        lambda events: changed(
            changed(events, Invoke, {"op": "undrain"}, utc=1040.0),
            JobRow,
            {"id": "c1"},
            worker=BOREA,
            granted_at=1030.0,
        ),
    ),
    ("urgency", "a", _passed_over),
    ("outputs", "a", lambda events: without(events, OutputRow, job="a")),
    ("outputs", "a", lambda events: changed(events, OutputRow, {"job": "a"}, token=token(1, 9))),
    ("outputs", "a", lambda events: changed(events, OutputRow, {"job": "a"}, path="b.jpg")),
    ("one start", "c1", lambda events: with_more(events, Started(**STAMP, job="c1", token=token(1, 4)))),
    (
        "one start",
        "a",
        lambda events: with_more(events, Started(**EARLY, job="a", token=token(1, 1))),
    ),
    ("progress", "b", lambda events: changed(events, Progressed, {"percent": 100}, percent=10)),
    ("progress", "b", lambda events: changed(events, Progressed, {"percent": 100}, percent=101)),
    ("follow-ups", "f", lambda events: changed(events, ResultSent, {"job": "a"}, token=token(1, 9))),
    ("log", "b", lambda events: changed(events, LogRows, {"job": "b"}, last=3)),
    ("log", "b", lambda events: changed(events, ResultSent, {"job": "b"}, log_pieces=3)),
    ("log", "b", lambda events: without(events, LogRows, job="b")),
    ("counters", "", lambda events: changed(events, CounterRow, {"state": "failed"}, jobs=2)),
    ("counters", "", lambda events: without(events, CounterRow, before=True)),
]


def test_a_history_that_went_well_breaks_no_law() -> None:
    verdict = judge(arrange(good_history()))

    assert verdict.holds
    assert as_document(verdict)["broken"] == []
    assert as_text(verdict)[-1] == f"All {len(LAWS)} laws hold."


@pytest.mark.parametrize(("name", "job", "spoil"), SPOILED)
def test_a_spoiled_history_breaks_the_law_and_the_job_is_named(name: str, job: str, spoil: Spoil) -> None:
    found = broken(spoil(good_history()))

    assert job in found[name]


def test_every_law_has_a_history_that_breaks_it() -> None:
    assert {law.name for law in LAWS} == {name for name, _, _ in SPOILED}


def test_every_law_says_what_it_demands() -> None:
    assert all(law.sentence.endswith(".") for law in LAWS)


def test_the_report_shows_the_events_that_contradict_one_another() -> None:
    verdict = judge(arrange(without(good_history(), JobRow, id="a")))

    lines = as_text(verdict)

    assert "BROKEN: acknowledged: " in "\n".join(lines)
    assert any(line.startswith("  a was acknowledged") for line in lines)
    assert any("client: invoke" in line and "op=submit" in line for line in lines)


def test_a_lost_lease_while_something_else_is_broken_is_not_held_to_its_time() -> None:
    late = changed(good_history(), AttemptRow, {"job": "h"}, ended_at=1020.0)
    fault = next(event for event in late if isinstance(event, Fault))

    assert "rescue" not in broken(with_more(late, fault.model_copy(update={"kind": "kill_leader"})))


def test_a_resumption_under_way_beside_the_pause_may_have_come_after_it() -> None:
    paused = changed(_longer_pause(good_history()), JobRow, {"id": "k"}, granted_at=1030.0)
    beside = changed(paused, Invoke, {"op": "resume"}, utc=1000.0)

    assert "paused" in broken(paused)
    assert "paused" not in broken(beside)


def test_a_killed_worker_may_take_the_end_of_its_log_along() -> None:
    cut = changed(good_history(), ResultSent, {"job": "b"}, log_pieces=3)
    restarted = changed(cut, FateHeard, {"job": "b", "token": token(1, 3)}, by=f"{BOREA}.2")

    assert "log" not in broken(restarted)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.data())
def test_the_highest_of_a_stretch_is_found(values: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(values)))
    beyond = data.draw(st.integers(0, len(values)))

    found = Ranges([float(value) for value in values]).highest(first, beyond)

    expected = max(values[first:beyond], default=None)
    assert (None if found is None else values[found]) == expected


@given(st.data())
def test_no_row_of_a_job_can_vanish_unseen(data: st.DataObject) -> None:
    events = good_history()
    rows = [event for event in events if isinstance(event, JobRow)]
    gone = data.draw(st.sampled_from(rows))

    assert broken(without(events, JobRow, id=gone.id))


@given(st.data())
def test_the_order_of_the_rows_does_not_matter(data: st.DataObject) -> None:
    events = good_history()
    tables = [event for event in events if event.by == "tables" and event.what != "end"]
    others = [event for event in events if event.by != "tables"]
    shuffled = data.draw(st.permutations(tables))

    assert broken(numbered([*others, *shuffled])) == {}
