"""Translates what chooses jobs."""

from callsheet.catalog import Category
from callsheet.errors import InvalidError
from callsheet.ids import check_id
from callsheet.v1.job_service_pb2 import ActOnJobsRequest, ListJobsRequest
from callsheet_scheduler.domain.job import JobId, JobState
from callsheet_scheduler.rpc.convert import category_from_wire
from callsheet_scheduler.store.job_lists import JobFilter
from callsheet_scheduler.use_cases.actions import Action


def filter_from_wire(request: ListJobsRequest) -> JobFilter:
    """Return which jobs are wanted.

    Raises:
        InvalidError: A state, category or id is none.
    """
    states = frozenset(state for state in JobState if int(state) in request.states)
    if len(states) != len(set(request.states)):
        message = "contains a value that is no state"
        raise InvalidError(message, field="states")
    categories: set[Category] = set()
    for value in request.categories:
        category = category_from_wire(value, field="categories")
        if category is not None:
            categories.add(category)
    return JobFilter(
        states=states,
        types=frozenset(request.types),
        categories=frozenset(categories),
        query=request.query,
        parent_id=parent_id_from_wire(request.parent_id),
        oldest_first=request.oldest_first,
        collection=request.collection,
        submitted_by=request.submitted_by,
    )


def parent_id_from_wire(text: str) -> JobId | None:
    """Return the checked id, None for none."""
    return JobId(check_id(text, "parent_id")) if text else None


def action_from_wire(value: int) -> Action:
    """Return what to do.

    Raises:
        InvalidError: It is nothing that can be done.
    """
    try:
        return Action(value)
    except ValueError:
        message = f"must be one of {', '.join(action.name for action in Action)}"
        raise InvalidError(message, field="action") from None


def check_bulk_filter(request: ActOnJobsRequest) -> None:
    """Refuse a bulk action that names no jobs, or pages in two ways.

    Raises:
        InvalidError: It does.
    """
    if not request.HasField("filter"):
        message = "name jobs, or give a filter; an empty filter stands for every job"
        raise InvalidError(message, field="ids")
    wanted = request.filter
    for name in ("page_size", "page_token", "skip"):
        if getattr(wanted, name):
            message = "must be unset here; page_token of the request goes on"
            raise InvalidError(message, field=f"filter.{name}")
