"""A watch costs no more than its bound, however far behind its reader is."""

import pytest
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.use_cases.watching import BACKLOG_MAX, Watch

from callsheet.errors import OverloadedError, UnavailableError


def changes(first: int, count: int, parent: JobId | None = None) -> dict[JobId, JobId | None]:
    return {JobId(f"job-{number:06}"): parent for number in range(first, first + count)}


async def test_what_changed_twice_between_two_looks_is_told_once() -> None:
    watch = Watch(frozenset(), None)
    watch.add(changes(0, 2))
    watch.add(changes(1, 2))

    assert await anext(watch.rounds()) == sorted(changes(0, 3))


async def test_a_watch_is_told_of_its_own_jobs_alone() -> None:
    parent = JobId("parent")
    named, children = Watch(frozenset({JobId("job-000001")}), None), Watch(frozenset(), parent)
    for watch in (named, children):
        watch.add(changes(0, 2))
        watch.add(changes(5, 1, parent))

    assert await anext(named.rounds()) == ["job-000001"]
    assert await anext(children.rounds()) == ["job-000005"]


async def test_a_reader_too_far_behind_is_told_so_and_costs_nothing_more() -> None:
    watch = Watch(frozenset(), None)
    for first in range(0, 5 * BACKLOG_MAX, BACKLOG_MAX):
        watch.add(changes(first, BACKLOG_MAX))
        assert watch.waiting <= BACKLOG_MAX

    with pytest.raises(OverloadedError, match="too far behind"):
        await anext(watch.rounds())
    assert watch.waiting == 0


async def test_the_end_of_the_leadership_is_told() -> None:
    watch = Watch(frozenset(), None)
    watch.add(changes(0, 1))
    watch.end(UnavailableError("this leadership has ended; watch again"))

    with pytest.raises(UnavailableError):
        await anext(watch.rounds())
