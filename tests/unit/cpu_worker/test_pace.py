"""Figures of how fast files are done."""

from callsheet_cpu_worker.pace import SAID_EVERY_S, Pace


def test_line_is_due_now_and_then_and_tells_what_is_left_at_that_pace() -> None:
    pace = Pace(count=1_500, began_at=100.0)
    pace.done = 20

    assert pace.due(100.0 + SAID_EVERY_S / 2) == ""
    assert pace.due(100.0 + SAID_EVERY_S) == "20 of 1,500 files, 2.0 files/s, 740 s left."
    assert pace.due(101.0 + SAID_EVERY_S) == ""


def test_files_that_needed_nothing_make_it_no_faster() -> None:
    pace = Pace(count=1_500, began_at=0.0, done=1_000)
    pace.done += 100

    assert (pace.rate(50.0), pace.percent) == (2.0, 73)
    assert Pace(count=0, began_at=0.0).percent == 0
