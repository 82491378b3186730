"""JSON keys and shapes are those of the documented systems."""

from datetime import UTC, datetime

import pytest
from callsheet_gateway.schemas.jobs import (
    Status,
    category_of,
    category_to_wire,
    details,
    state_of,
    status_of,
    summary,
)
from callsheet_gateway.schemas.library import item_view, metadata_view
from callsheet_gateway.schemas.new_job import NewJob, new_job_to_wire
from callsheet_gateway.schemas.shared import instant, instant_or_none, pagination
from callsheet_gateway.schemas.stats import stats_view
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from callsheet.errors import InvalidError
from callsheet.v1.fleet_service_pb2 import DeviceAccount
from callsheet.v1.job_pb2 import Job, JobAttempt, JobState, ResourceCategory
from callsheet.v1.job_service_pb2 import GetStatsResponse, StateCount
from callsheet.v1.lease_service_pb2 import Device
from callsheet.v1.library_service_pb2 import Item, ItemFacts, ItemState, MediaKind
from callsheet.worker.storage.library import Roots

ID = "019aa1f7-6f00-7000-8000-000000000001"


def stamp(text: str) -> Timestamp:
    made = Timestamp()
    made.FromJsonString(text)
    return made


def job() -> Job:
    return Job(
        id=ID,
        type="scan",
        params_json='{"path": "a"}',
        state=JobState.JOB_STATE_RUNNING,
        category=ResourceCategory.RESOURCE_CATEGORY_CPU,
        priority=5,
        progress_percent=45,
        max_retries=3,
        created_at=stamp("2026-02-13T10:25:00Z"),
        started_at=stamp("2026-02-13T10:30:00.123456Z"),
    )


def test_job_in_a_list_has_the_documented_keys_and_values() -> None:
    shown = summary(job()).model_dump(by_alias=True, mode="json")
    assert (
        shown
        | {
            "id": ID,
            "type": "scan",
            "status": "running",
            "progress": 45,
            "resourceCategory": "cpu",
            "vramRequired": 0,
            "priority": 5,
            "params": {"path": "a"},
            "startedAt": "2026-02-13T10:30:00.123Z",
            "createdAt": "2026-02-13T10:25:00.000Z",
        }
        == shown
    )


def test_job_in_detail_has_log_retries_result_and_attempts_besides() -> None:
    made = job()
    made.result_json = '{"found": 3}'
    made.attempts.append(JobAttempt(number=1, worker_id="atlas", outcome="failed", error="disk full"))
    shown = details(made, "a line\n").model_dump(by_alias=True, mode="json")
    assert (shown["log"], shown["retryCount"], shown["maxRetries"]) == ("a line\n", 0, 3)
    assert (shown["completedAt"], shown["waitingReason"], shown["queuePosition"]) == (None, None, None)
    assert shown["result"] == {"found": 3}
    assert shown["attempts"] == [
        {
            "number": 1,
            "worker": "atlas",
            "startedAt": None,
            "endedAt": None,
            "outcome": "failed",
            "error": "disk full",
        }
    ]


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_its_state(status: Status) -> None:
    assert status_of(state_of(status)) is status


def test_every_state_has_its_status() -> None:
    named = set(JobState.values()) - {JobState.JOB_STATE_UNSPECIFIED}
    assert {state_of(status_of(state)) for state in named} == named


def test_every_category_has_its_value() -> None:
    named = set(ResourceCategory.values()) - {ResourceCategory.RESOURCE_CATEGORY_UNSPECIFIED}
    assert {category_to_wire(category_of(value)) for value in named} == named
    assert category_to_wire(None) == ResourceCategory.RESOURCE_CATEGORY_UNSPECIFIED


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001 -- UTC
def test_instants_are_rfc_3339_in_utc(at: datetime) -> None:
    made = Timestamp()
    made.FromDatetime(at)
    text = instant(made)
    assert text.endswith("Z")
    parsed = datetime.fromisoformat(text)
    assert 0 <= (at.replace(tzinfo=UTC) - parsed).total_seconds() < 0.001


def test_instant_that_is_not_set_is_null() -> None:
    assert instant_or_none(Timestamp()) is None


def test_documented_body_of_a_new_job_is_taken_over() -> None:
    body = (
        b'{"type": "reencode_streaming", "params": {"videoId": "x", "targetBitrate": 2000}, "priority": 5,'
        b' "resourceCategory": "gpu_encode", "vramRequired": 4000, "runAt": "2026-02-13T12:00:00+01:00"}'
    )
    wire = new_job_to_wire(NewJob.model_validate_json(body))
    assert (wire.type, wire.priority, wire.vram_mib) == ("reencode_streaming", 5, 4000)
    assert wire.params_json == '{"videoId": "x", "targetBitrate": 2000}'
    assert wire.category == ResourceCategory.RESOURCE_CATEGORY_GPU_ENCODE
    assert wire.run_at == stamp("2026-02-13T11:00:00Z")
    assert not wire.HasField("max_retries")


def test_new_job_says_only_what_the_caller_said() -> None:
    wire = new_job_to_wire(NewJob.model_validate({"type": "scan"}))
    assert not wire.HasField("vram_mib")
    assert not wire.HasField("run_at")
    assert (wire.id, wire.params_json, wire.priority) == ("", "{}", 5)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "Scan"},
        {"type": ""},
        {"type": "scan", "priority": 0},
        {"type": "scan", "priority": "urgent"},
        {"type": "scan", "params": []},
        {"type": "scan", "runAt": "2026-02-13T12:00:00"},
        {"type": "scan", "id": "1"},
        {"type": "scan", "maxRetries": 21},
        {"type": "scan", "surplus": 1},
    ],
)
def test_wrong_new_job_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewJob.model_validate(body)


def test_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidError) as caught:
        new_job_to_wire(NewJob(type="scan", params={"x": float("nan")}))
    assert caught.value.field == "params"


def test_statistics_sum_over_categories() -> None:
    counts = [
        (JobState.JOB_STATE_PENDING, ResourceCategory.RESOURCE_CATEGORY_CPU, 3),
        (JobState.JOB_STATE_PENDING, ResourceCategory.RESOURCE_CATEGORY_GPU_AI, 4),
        (JobState.JOB_STATE_CANCELLED, ResourceCategory.RESOURCE_CATEGORY_CPU, 1),
    ]
    shown = stats_view(
        GetStatsResponse(
            states=[StateCount(state=state, category=category, count=n) for state, category, n in counts],
            vram_allocated_mib=12_000,
            vram_capacity_mib=16_000,
            mean_run_s=245.1234,
            created_by_type={"scan": 8},
            completed_last_hour=2,
        ),
        [
            DeviceAccount(
                device=Device(uuid="GPU-1", name="A4000"),
                host="atlas",
                capacity_mib=16_000,
                allocated_mib=12_000,
            )
        ],
    ).model_dump(by_alias=True, mode="json")
    assert shown == {
        "pending": 7,
        "queued": 0,
        "running": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 1,
        "paused": 0,
        "totalVramUsed": 12_000,
        "totalVramAvailable": 16_000,
        "averageProcessingTime": 245.123,
        "jobsByType": {"scan": 8},
        "perCategory": {
            category: {
                "pending": pending,
                "queued": 0,
                "running": 0,
                "completed": 0,
                "failed": 0,
                "cancelled": cancelled,
                "paused": 0,
            }
            for category, pending, cancelled in (("cpu", 3, 1), ("gpu_encode", 0, 0), ("gpu_ai", 4, 0))
        },
        "perGpu": [
            {
                "uuid": "GPU-1",
                "name": "A4000",
                "host": "atlas",
                "vramUsed": 12_000,
                "vramAvailable": 16_000,
            }
        ],
        "throughput": {"completedLastHour": 2},
    }


@given(st.integers(0, 1000), st.integers(1, 200))
def test_pages_hold_all_that_passes(total: int, limit: int) -> None:
    shown = pagination(page=1, limit=limit, total=total, total_is_exact=True, next_cursor="")
    assert 0 <= shown.total_pages * limit - total < limit
    assert shown.next_cursor is None


def test_metadata_has_the_documented_keys() -> None:
    facts = ItemFacts(size_bytes=245_678, width=1920, height=1080, format="JPEG")
    item = Item(facts=facts, updated_at=stamp("2025-10-30T22:36:45.123Z"))
    assert metadata_view("/media/image.jpg", item, cached=True).model_dump() == {
        "file_path": "/media/image.jpg",
        "width": 1920,
        "height": 1080,
        "file_size": 245_678,
        "duration": None,
        "format": "JPEG",
        "cached": True,
        "cached_at": "2025-10-30T22:36:45.123Z",
    }


def test_sound_of_no_length_has_a_duration_and_no_size() -> None:
    shown = metadata_view("a.mp3", Item(facts=ItemFacts(duration_s=0.0, format="mp3")), cached=False)
    assert (shown.width, shown.height, shown.duration) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("size", "orientation"),
    [((16, 9), "landscape"), ((9, 16), "portrait"), ((5, 5), "square"), ((0, 0), None)],
)
def test_orientation_follows_from_the_upright_size(size: tuple[int, int], orientation: str | None) -> None:
    width, height = size
    facts = ItemFacts(
        root="library",
        path="videos/a.mp4",
        kind=MediaKind.MEDIA_KIND_VIDEO,
        state=ItemState.ITEM_STATE_OK,
        width=width,
        height=height,
    )
    shown = item_view(Item(id=ID, facts=facts), Roots({}).link)
    assert shown.orientation == orientation
    assert (shown.filename, shown.kind, shown.status, shown.is_valid) == ("a.mp4", "video", "ok", True)
    assert shown.thumbnail_url == f"/api/media/items/{ID}/thumbnail"


def test_broken_item_says_why_and_offers_no_thumbnail() -> None:
    facts = ItemFacts(
        path="a.mp4",
        kind=MediaKind.MEDIA_KIND_VIDEO,
        state=ItemState.ITEM_STATE_BROKEN,
        reason="truncated",
    )
    shown = item_view(Item(id=ID, facts=facts), Roots({}).link)
    assert (shown.status, shown.is_valid, shown.reason, shown.thumbnail_url) == (
        "broken",
        False,
        "truncated",
        None,
    )
