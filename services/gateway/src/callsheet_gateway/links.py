"""Which endpoints take what another has answered: programs, and tests by chance, go on by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What an endpoint makes, and where it is asked for again."""

    parameter: str
    """The parameter of the path that names it there."""
    found: str
    """Where in the answer its name is, an expression of OpenAPI."""
    operations: tuple[str, ...]


_JOB: Final = Made(
    parameter="job_id",
    found="$response.body#/id",
    operations=(
        "show_job",
        "change_job",
        "retry_job",
        "cancel_job",
        "pause_job",
        "resume_job",
        "job_children",
        "job_log",
    ),
)
MADE: Final[Mapping[tuple[str, str], Made]] = {
    ("POST", "/api/media/jobs"): _JOB,
    ("POST", "/api/media/jobs/reencode"): _JOB,
    ("POST", "/api/schedules"): Made(
        parameter="name",
        found="$response.body#/name",
        operations=(
            "show_schedule",
            "change_schedule",
            "run_schedule",
            "pause_schedule",
            "resume_schedule",
            "remove_schedule",
        ),
    ),
    ("POST", "/api/collections"): Made(
        parameter="slug", found="$response.body#/slug", operations=("show_collection",)
    ),
    ("POST", "/api/keys"): Made(
        parameter="key_id", found="$response.body#/id", operations=("change_key", "revoke_key")
    ),
}
"""By method and path."""


def links_of(method: str, path: str) -> dict[str, Any]:
    """Return the links of an endpoint's answer, by the operation that each leads to."""
    made = MADE.get((method, path))
    if made is None:
        return {}
    parameters = {made.parameter: made.found}
    return {name: {"operationId": name, "parameters": parameters} for name in made.operations}
