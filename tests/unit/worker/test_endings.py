"""What is reported of an attempt's end."""

import errno

import pytest
from pydantic import JsonValue, ValidationError

from callsheet.errors import (
    AttemptError,
    BadInputError,
    CapacityError,
    OverloadedError,
    TransientError,
    UnavailableError,
)
from callsheet.params import ThumbnailGenerateParams
from callsheet.v1.job_pb2 import FailureKind, NewJob
from callsheet.v1.lease_service_pb2 import Completed, Grant, Output
from callsheet.v1.library_service_pb2 import ItemFacts
from callsheet.worker.endings import (
    as_attempt_error,
    bad_params,
    checkpoint_of,
    complete,
    failed,
    last_words,
)
from callsheet.worker.processor import Outcome


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (BadInputError("no"), FailureKind.FAILURE_KIND_BAD_INPUT),
        (CapacityError("no"), FailureKind.FAILURE_KIND_CAPACITY),
        (TransientError("no"), FailureKind.FAILURE_KIND_TRANSIENT),
        (UnavailableError("no"), FailureKind.FAILURE_KIND_TRANSIENT),
        (OverloadedError("no"), FailureKind.FAILURE_KIND_TRANSIENT),
        (MemoryError(), FailureKind.FAILURE_KIND_CAPACITY),
        (OSError(errno.ENOSPC, "No space left on device"), FailureKind.FAILURE_KIND_CAPACITY),
        (OSError(errno.EIO, "Input/output error"), FailureKind.FAILURE_KIND_BUG),
        (TimeoutError(), FailureKind.FAILURE_KIND_BUG),
        (ZeroDivisionError("no"), FailureKind.FAILURE_KIND_BUG),
    ],
)
def test_each_exception_has_its_kind(raised: Exception, kind: FailureKind.ValueType) -> None:
    assert failed(as_attempt_error(raised)).kind == kind


def test_outcome_is_reported_whole() -> None:
    outcome = Outcome(
        result={"found": 2}, items=[ItemFacts(path="a.jpg")], follow_ups=[NewJob(type="thumbnail_generate")]
    )

    message = Completed()
    complete(message, outcome)

    assert message.result_json == '{"found":2}'
    assert [item.path for item in message.library.items] == ["a.jpg"]
    assert [job.type for job in message.follow_ups] == ["thumbnail_generate"]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(result={"text": "x" * 65_536}), "the limit is 65,536"),
        (Outcome(follow_ups=[NewJob()] * 1001), "the limit is 1,000"),
        (Outcome(items=[ItemFacts(extra_json="x" * 16_000)] * 200), "the limit is 2,097,152"),
    ],
)
def test_report_beyond_a_limit_is_a_fault_that_names_the_limit(outcome: Outcome, reason: str) -> None:
    with pytest.raises(AttemptError, match=reason):
        complete(Completed(), outcome)


def test_refused_parameters_are_named_as_the_client_wrote_them() -> None:
    with pytest.raises(ValidationError) as caught:
        ThumbnailGenerateParams.model_validate_json('{"videoId": "me", "width": 1}')

    assert bad_params(caught.value).message.startswith("parameter videoId: ")


def test_reason_is_bounded_and_can_be_written() -> None:
    message = failed(BadInputError("\ud800" + "x" * 5000))

    assert len(message.reason) == 1000
    assert message.reason.startswith("\\xd800x")


def test_only_a_fault_of_the_code_leaves_its_trace() -> None:
    cause = ValueError("odd")

    assert last_words(AttemptError("odd"), cause).endswith("ValueError: odd\n--- ERROR ---\nodd")
    assert last_words(BadInputError("bad"), cause) == "--- ERROR ---\nbad"


@pytest.mark.parametrize(("text", "kept"), [("", None), ("{}", {}), ('{"a": [1, null]}', {"a": [1, None]})])
def test_checkpoint_is_what_was_kept(text: str, kept: dict[str, JsonValue] | None) -> None:
    assert checkpoint_of(Grant(checkpoint_json=text)) == kept


@pytest.mark.parametrize("text", ["[]", "7", "{", "\ufffd"])
def test_checkpoint_that_is_no_object_is_a_fault(text: str) -> None:
    with pytest.raises(AttemptError, match="the checkpoint is no JSON object"):
        checkpoint_of(Grant(checkpoint_json=text))


def test_more_outputs_than_can_be_reported_are_a_fault() -> None:
    outputs = [Output(path=str(number)) for number in range(101)]

    message = Completed()
    complete(message, Outcome(), outputs[:100])

    assert len(message.outputs) == 100
    with pytest.raises(AttemptError, match="101 outputs asked for by path; the limit is 100"):
        complete(Completed(), Outcome(), outputs)
