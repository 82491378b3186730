"""The hours of the charts: each is there, also one in which nothing happened."""

from datetime import UTC, datetime

from callsheet_gateway.schemas.hours import hours_view
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.job_pb2 import JOB_STATE_CANCELLED, JOB_STATE_COMPLETED, JOB_STATE_PENDING
from callsheet.v1.job_pb2 import RESOURCE_CATEGORY_CPU as CPU
from callsheet.v1.job_service_pb2 import HourCount, HourWait, ListHoursResponse


def at(hour: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 2, 13, hour, tzinfo=UTC))
    return stamp


def test_hours_follow_one_another_and_have_sums_and_what_each_type_adds() -> None:
    counts = [
        HourCount(hour=at(9), state=JOB_STATE_PENDING, type="scan", jobs=4),
        HourCount(hour=at(9), state=JOB_STATE_COMPLETED, type="scan", jobs=2, run_s=10.0),
        HourCount(hour=at(9), state=JOB_STATE_COMPLETED, type="validate", jobs=1, run_s=2.0),
        HourCount(hour=at(11), state=JOB_STATE_CANCELLED, type="scan", jobs=1),
    ]
    waits = [
        HourWait(hour=at(9), type="scan", category=CPU, jobs=1, wait_s=5.0, longest_wait_s=5.0),
        HourWait(hour=at(9), type="validate", category=CPU, jobs=3, wait_s=3.0, longest_wait_s=2.0),
        HourWait(hour=at(10), type="move", category=CPU, jobs=1, wait_s=0.25, longest_wait_s=0.25),
        HourWait(hour=at(12), type="scan", category=CPU, jobs=1, wait_s=9.0, longest_wait_s=9.0),
    ]
    shown = hours_view(
        ListHoursResponse(counts=counts, waits=waits, first_hour=at(9), last_hour=at(11)),
    )
    none: dict[str, object] = dict.fromkeys(("created", "completed", "failed", "cancelled"), 0)
    none |= {"averageWait": None, "longestWait": None}
    assert [hour.model_dump(mode="json", by_alias=True) for hour in shown.data] == [
        none
        | {
            "hour": "2026-02-13T09:00:00.000Z",
            "created": 4,
            "completed": 3,
            "averageProcessingTime": 4.0,
            "averageWait": 2.0,
            "longestWait": 5.0,
            "byType": {
                "scan": none | {"created": 4, "completed": 2, "averageWait": 5.0, "longestWait": 5.0},
                "validate": none | {"completed": 1, "averageWait": 1.0, "longestWait": 2.0},
            },
        },
        none
        | {
            "hour": "2026-02-13T10:00:00.000Z",
            "averageProcessingTime": 0.0,
            "averageWait": 0.25,
            "longestWait": 0.25,
            "byType": {"move": none | {"averageWait": 0.25, "longestWait": 0.25}},
        },
        none
        | {
            "hour": "2026-02-13T11:00:00.000Z",
            "cancelled": 1,
            "averageProcessingTime": 0.0,
            "byType": {"scan": none | {"cancelled": 1}},
        },
    ]
