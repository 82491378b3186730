"""Every error becomes a problem document that says what is wrong, and nothing of how the code looks."""

from collections.abc import Mapping

import pytest
from callsheet_gateway.problems import DETAIL_MAX, field_name, problem_response, response_to
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from callsheet import errors

BODY: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


def body_of(response: JSONResponse) -> Mapping[str, object]:
    return BODY.validate_json(bytes(response.body))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidError("no", field="priority"), 422),
        (errors.NotFoundError("no"), 404),
        (errors.ConflictError("no"), 409),
        (errors.StateError("the job is completed"), 409),
        (errors.LeaseLostError("no"), 409),
        (errors.OverloadedError("full", retry_after_s=2.6), 429),
        (errors.UnavailableError("away"), 503),
        (errors.UnauthenticatedError("who?"), 401),
        (errors.DeniedError("no"), 403),
        (errors.CallsheetError("Traceback of the scheduler"), 500),
        (errors.TransientError("inside of a worker"), 500),
    ],
)
def test_error_of_the_tree_is_a_problem_with_its_status(error: errors.CallsheetError, status: int) -> None:
    response = response_to(error)
    body = body_of(response)
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert str(body["type"]).startswith("urn:callsheet:problem:")
    assert body["title"]
    assert body["error"] == body["detail"]
    assert ("errors" in body) is (status == 422)


def test_full_and_away_say_when_to_come_back() -> None:
    assert response_to(errors.OverloadedError("full", retry_after_s=2.6)).headers["retry-after"] == "3"
    assert response_to(errors.OverloadedError("full", retry_after_s=0.0)).headers["retry-after"] == "1"
    assert response_to(errors.UnavailableError("away")).headers["retry-after"] == "2"


def test_missing_credential_says_how_to_give_one() -> None:
    assert response_to(errors.UnauthenticatedError("who?")).headers["www-authenticate"].startswith("Bearer ")


def test_fault_of_ours_tells_nothing_of_itself() -> None:
    assert "scheduler" not in bytes(response_to(errors.CallsheetError("of the scheduler")).body).decode()


def test_wrong_field_is_named_as_the_caller_wrote_it() -> None:
    body = body_of(response_to(errors.InvalidError("must be from 0 to 20", field="max_retries")))
    assert body["errors"] == [{"field": "maxRetries", "message": "must be from 0 to 20"}]
    assert body["detail"] == "maxRetries: must be from 0 to 20"


@pytest.mark.parametrize(
    ("wire", "rest"),
    [
        ("params.run_at", "params.run_at"),
        ("resource_category", "resourceCategory"),
        ("jobs[0].params.video_id", "jobs[0].params.video_id"),
        ("jobs[0].params", "jobs[0].params"),
        ("jobs[12].resource_category", "jobs[12].resourceCategory"),
        ("jobs", "jobs"),
        ("page_token", "cursor"),
        ("states[1]", "status[1]"),
        ("file_path", "file_path"),
        ("", ""),
    ],
)
def test_fields_of_the_scheduler_have_their_names_of_rest(wire: str, rest: str) -> None:
    assert field_name(wire) == rest


def test_long_details_are_cut() -> None:
    assert len(str(body_of(problem_response(404, "x" * 5000))["detail"])) == DETAIL_MAX


def test_status_that_nobody_foresaw_has_its_phrase() -> None:
    assert body_of(problem_response(418, "no coffee"))["title"] == "I'm a Teapot"
