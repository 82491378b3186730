"""The picture of ``callsheet top`` has room for what matters first."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from callsheet.cli.top_reading import Seen
from callsheet.cli.top_view import Look, Order, compose, rate_text, share
from callsheet.v1.fleet_service_pb2 import DeviceAccount, DeviceState, Queue, Worker
from callsheet.v1.job_pb2 import Job, JobState
from callsheet.v1.lease_service_pb2 import Device

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def stamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def seen(workers: int = 2) -> Seen:
    scopes = ("all", "cpu", "gpu_encode", "gpu_ai")
    names = [f"w{number}" for number in range(workers)]
    return Seen(
        queues={scope: Queue(scope=scope, pending=1_200, running=3) for scope in scopes},
        workers=[
            Worker(id=name, connected=True, slots=4, leases=number % 3, load=number / 10)
            for number, name in enumerate(names)
        ],
        devices=[
            DeviceAccount(
                device=Device(uuid="GPU-1", index=0),
                host="atlas",
                state=DeviceState.DEVICE_STATE_OK,
                capacity_mib=16_384,
                allocated_mib=8_000,
                free_mib=7_872,
                margin_mib=512,
            )
        ],
        running=[
            Job(
                type="tag\x1b[31m",
                worker_id="w1",
                state=JobState.JOB_STATE_RUNNING,
                progress_percent=50,
                started_at=stamp(NOW - timedelta(seconds=90)),
            )
        ],
        failed=[Job(id="f", type="scan", state=JobState.JOB_STATE_FAILED, error="the disk is full")],
        oldest={"cpu": NOW - timedelta(minutes=7)},
        rates={"cpu": 12.34, "gpu_ai": 0.1},
    )


def drawn(what: Seen, *, lines: int = 40, columns: int = 120, look: Look | None = None) -> list[str]:
    console = Console(width=columns, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(compose(what, look or Look(now=NOW, address="here:7420"), lines=lines))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_everything_that_is_known_is_shown() -> None:
    text = "\n".join(drawn(seen()))
    for words in (
        "cpu",
        "1,200",
        "12.3/s",
        "6/min",
        "7 min",
        "atlas 0",
        "############",
        "7,872",
        "w1",
        "1 of 4",
    ):
        assert words in text
    assert "########........  50 %" in text
    assert "1 min 30 s" in text
    assert "the disk is full" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("lines", [4, 6, 9, 14, 24, 60])
@pytest.mark.parametrize("columns", [30, 80, 200])
def test_picture_is_never_larger_than_its_terminal(lines: int, columns: int) -> None:
    picture = drawn(seen(workers=300), lines=lines, columns=columns)
    assert len(picture) <= lines
    assert max(map(len, picture)) <= columns
    assert picture[-1].startswith("q quit")


def test_rows_without_room_are_counted() -> None:
    text = "\n".join(drawn(seen(workers=300), lines=24))
    assert "more workers and their jobs" in text


@pytest.mark.parametrize(("order", "first"), [(Order.NAME, "w0"), (Order.BUSY, "w2"), (Order.LOAD, "w8")])
def test_workers_stand_in_the_order_that_was_chosen(order: Order, first: str) -> None:
    picture = drawn(seen(workers=9), look=Look(now=NOW, address="here:7420", order=order))
    head = next(number for number, line in enumerate(picture) if line.startswith("WORKER"))
    assert picture[head + 1].split()[0] == first


def test_silent_scheduler_is_said_and_what_was_known_stays() -> None:
    picture = drawn(seen(), look=Look(now=NOW, address="here:7420", away="no answer since 11:59:58"))
    assert "no answer since 11:59:58" in picture[0]
    assert any(line.startswith("cpu") for line in picture)


@pytest.mark.parametrize(
    ("lines", "wanted", "given"),
    [
        (40, [4, 3, 9], [4, 3, 9]),
        (10, [4, 3, 9], [4, 3, 3]),
        (7, [4, 3, 9], [4, 3, 0]),
        (3, [4, 3, 9], [0, 3, 0]),
        (8, [4, 0, 9], [4, 0, 4]),
    ],
)
def test_lines_are_shared_from_the_first_part_on(lines: int, wanted: list[int], given: list[int]) -> None:
    assert share(lines, wanted) == given


def test_slow_rates_are_told_by_the_minute() -> None:
    assert [rate_text(one) for one in (0.0, 0.05, 1.0, 1234.5)] == ["", "3/min", "1.0/s", "1,234.5/s"]
