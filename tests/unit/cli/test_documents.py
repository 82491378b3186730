"""Messages become documents whose keys and values a script can rely on."""

import json

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.cli.documents import document, embedded, enum_text
from callsheet.v1.job_pb2 import Job, JobAttempt, JobState, ResourceCategory
from callsheet.v1.job_service_pb2 import GetStatsResponse, JobType
from callsheet.v1.library_service_pb2 import Derivative, DerivativeFacts, Item, ItemFacts, MediaKind


def test_a_job_is_a_document_of_all_its_fields() -> None:
    job = Job(
        id="a",
        params_json='{"root": "library"}',
        state=JobState.JOB_STATE_RUNNING,
        category=ResourceCategory.RESOURCE_CATEGORY_GPU_ENCODE,
        created_at=Timestamp(seconds=1_900_000_000, nanos=123_456_789),
        attempts=[JobAttempt(number=1)],
    )

    written = document(job)

    assert [key.removesuffix("_json") for key in Job.DESCRIPTOR.fields_by_name] == list(written)
    assert (written["params"], written["result"]) == ({"root": "library"}, None)
    assert (written["state"], written["category"]) == ("running", "gpu_encode")
    assert (written["created_at"], written["started_at"]) == ("2030-03-17T17:46:40.123Z", None)
    assert written["attempts"] == [
        {
            "number": 1,
            "worker_id": "",
            "started_at": None,
            "ended_at": None,
            "outcome": "",
            "error": "",
            "device_uuid": "",
            "vram_mib": 0,
            "software": False,
            "peak_vram_mib": 0,
        }
    ]


def test_optional_fields_bytes_and_maps_are_written() -> None:
    silent = document(ItemFacts(kind=MediaKind.MEDIA_KIND_IMAGE))
    playing = document(ItemFacts(duration_s=0.0, mtime_ns=1_900_000_000_123_456_789))
    picture = document(Derivative(facts=DerivativeFacts(inline=b"\xff\x00")))
    stats = document(GetStatsResponse(created_by_type={"scan": 2, "a": 1}))

    assert (silent["kind"], silent["state"], silent["duration_s"]) == ("image", None, None)
    assert (playing["duration_s"], playing["mtime_ns"]) == (0.0, 1_900_000_000_123_456_789)
    assert json.dumps(picture).find('"inline": "/wA="') > 0
    assert stats["created_by_type"] == {"a": 1, "scan": 2}


@pytest.mark.parametrize("message", [Job(), Item(), JobType(), GetStatsResponse()])
def test_an_empty_message_is_a_document_too(message: Message) -> None:
    assert set(document(message)) == {field.name.removesuffix("_json") for field in message.DESCRIPTOR.fields}


def test_a_value_of_a_later_release_is_written_as_its_number() -> None:
    assert enum_text(JobState.DESCRIPTOR, 99) == "99"


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("{}", {}), ("3", 3), ("{not json", "{not json"), ("[" * 99_999, "[" * 99_999)],
)
def test_an_embedded_text_that_is_no_json_stays_text(text: str, value: object) -> None:
    assert embedded(text) == value
