"""The hours of the charts: each is there, also one in which nothing happened."""

from datetime import UTC, datetime

from callsheet_gateway.schemas.hours import hours_view
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.job_pb2 import JOB_STATE_CANCELLED, JOB_STATE_COMPLETED, JOB_STATE_PENDING
from callsheet.v1.job_service_pb2 import HourCount, ListHoursResponse


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
    shown = hours_view(ListHoursResponse(counts=counts, first_hour=at(9), last_hour=at(11)))
    none = {"created": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert [hour.model_dump(mode="json", by_alias=True) for hour in shown.data] == [
        none
        | {
            "hour": "2026-02-13T09:00:00.000Z",
            "created": 4,
            "completed": 3,
            "averageProcessingTime": 4.0,
            "byType": {"scan": none | {"created": 4, "completed": 2}, "validate": none | {"completed": 1}},
        },
        none | {"hour": "2026-02-13T10:00:00.000Z", "averageProcessingTime": 0.0, "byType": {}},
        none
        | {
            "hour": "2026-02-13T11:00:00.000Z",
            "cancelled": 1,
            "averageProcessingTime": 0.0,
            "byType": {"scan": none | {"cancelled": 1}},
        },
    ]
