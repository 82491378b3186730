"""What requests send as JSON has the types that the description says."""

from datetime import UTC, datetime

import pytest
from callsheet_gateway.schemas.fleet import Drain
from callsheet_gateway.schemas.job_types import JobTypeChange
from callsheet_gateway.schemas.new_job import NewJob
from callsheet_gateway.schemas.schedules import ScheduleChange
from pydantic import ValidationError


@pytest.mark.parametrize("given", ["5", "", True, False], ids=repr)
@pytest.mark.parametrize(
    ("model", "key"),
    [(NewJob, "priority"), (NewJob, "vramRequired"), (Drain, "graceS"), (ScheduleChange, "jitterS")],
    ids=str,
)
def test_number_is_no_text_and_no_truth(
    model: type[NewJob | Drain | ScheduleChange], key: str, given: object
) -> None:
    with pytest.raises(ValidationError, match="number"):
        model.model_validate({"type": "scan", key: given} if model is NewJob else {key: given})


@pytest.mark.parametrize("given", [0, 1, "true", "", []], ids=repr)
def test_truth_is_no_number_and_no_text(given: object) -> None:
    with pytest.raises(ValidationError, match="must be true or false"):
        JobTypeChange.model_validate({"applyLearned": given})


def test_what_has_its_type_passes_and_so_does_null() -> None:
    assert JobTypeChange.model_validate({"applyLearned": False, "runLimit": 5}).apply_learned is False
    assert JobTypeChange.model_validate({"applyLearned": None, "runLimit": None}).run_limit is None
    assert Drain.model_validate({"graceS": 1.5}).grace_s == 1.5
    assert NewJob.model_validate({"type": "scan", "priority": 3.0}).priority == 3


@pytest.mark.parametrize(
    "given", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "1771000000", "12:00Z", 5, 0.5, True]
)
def test_instant_outside_of_what_rfc_3339_can_say_in_utc_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        NewJob.model_validate({"type": "scan", "runAt": given})


def test_instant_of_any_zone_is_taken_in_utc() -> None:
    new = NewJob.model_validate({"type": "scan", "runAt": "2199-01-01T02:00:00+02:00"})
    assert (new.run_at, new.run_at and new.run_at.tzinfo) == (datetime(2199, 1, 1, tzinfo=UTC), UTC)
