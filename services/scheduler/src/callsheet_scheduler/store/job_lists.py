"""The statements of lists of jobs: which jobs, in which order, behind which."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from callsheet.catalog import Category
from callsheet_scheduler.domain.job import FINAL, LEASED, JobId, JobState
from callsheet_scheduler.store.patterns import any_case
from callsheet_scheduler.store.tables import JOB_DONE, JOB_LIVE

#: How far jobs are counted where no counter knows them.
COUNT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs, and from which end. All that is given must hold; what is empty always does."""

    states: frozenset[JobState] = frozenset()
    types: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    query: str = ""
    """A part of the id, type, parameters or error, in any case."""
    parent_id: JobId | None = None
    """Only jobs that this one caused."""
    collection: str = ""
    submitted_by: str = ""
    leased_ids: frozenset[JobId] | None = None
    """Of the leased jobs only these; None for all of them."""
    oldest_first: bool = False
    """The one order beside newest first that every index of these lists serves."""

    @property
    def place(self) -> tuple[str, ...]:
        """What a page's token says beside the last id."""
        return ("oldest first",) if self.oldest_first else ()


def page_statement(
    wanted: JobFilter, *, last: JobId | None, skip: int, limit: int, edge: JobId | None = None
) -> sa.Select[Any]:
    """Return the ids of *limit* jobs that come behind *last* and as far as *edge*, less the first *skip*."""
    both = _both(wanted, last=last, edge=edge, first=skip + limit)
    return sa.select(both.c.id).order_by(_ordered(wanted, both.c.id)).offset(skip).limit(limit)


def count_statement(wanted: JobFilter, *, edge: JobId | None = None) -> sa.Select[int]:
    """Return how many jobs pass as far as *edge*, one more than ``COUNT_MAX`` at most."""
    both = _both(wanted, last=None, edge=edge, first=COUNT_MAX + 1)
    some = sa.select(both.c.id).limit(COUNT_MAX + 1).subquery()
    return sa.select(sa.func.count()).select_from(some)


def _ordered(wanted: JobFilter, ids: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return ids.asc() if wanted.oldest_first else ids.desc()


def _both(wanted: JobFilter, *, last: JobId | None, edge: JobId | None, first: int) -> sa.Subquery:
    """Return the ids of live and finished jobs that pass, the *first* of each behind *last*, to *edge*."""
    parts: list[sa.Select[Any]] = []
    for jobs, states in _parts(wanted):
        conditions = [*states, *_conditions(wanted, jobs)]
        if last is not None:
            conditions.append(jobs.c.id > last if wanted.oldest_first else jobs.c.id < last)
        if edge is not None:
            conditions.append(jobs.c.id <= edge if wanted.oldest_first else jobs.c.id >= edge)
        some = sa.select(jobs.c.id).where(*conditions).order_by(_ordered(wanted, jobs.c.id)).limit(first)
        parts.append(sa.select(some.subquery().c.id))
    return sa.union_all(*parts).subquery()


def _parts(wanted: JobFilter) -> list[tuple[sa.Table, list[sa.ColumnElement[bool]]]]:
    """Return the tables that can hold what is wanted, with what is asked of the state in each.

    History is read state by state and category by category: an index is in the order of the ids within one.
    """
    parts: list[tuple[sa.Table, list[sa.ColumnElement[bool]]]] = []
    finished = wanted.states & FINAL
    live = {JobState.QUEUED if state in LEASED else state for state in wanted.states - FINAL}
    if live:
        parts.append((JOB_LIVE, _live_states(live, wanted.leased_ids)))
    elif not finished:
        parts.append((JOB_LIVE, []))
    if finished or not wanted.states:
        parts += [
            (JOB_DONE, [*states, *categories])
            for states in _each(JOB_DONE.c.state, finished, whole=len(FINAL))
            for categories in _each(JOB_DONE.c.category, wanted.categories, whole=len(Category))
        ]
    return parts


def _each(
    kinds: sa.ColumnElement[Any], values: Collection[int], *, whole: int
) -> list[list[sa.ColumnElement[bool]]]:
    """Return a condition for each of *values*; one that always holds for none of them, or for the *whole*."""
    if len(values) in {0, whole}:
        return [[]]
    return [[_among(kinds, [value])] for value in sorted(values)]


def _live_states(
    states: Collection[JobState], leased_ids: frozenset[JobId] | None
) -> list[sa.ColumnElement[bool]]:
    columns = JOB_LIVE.c
    conditions = [_among(columns.state, states)]
    if leased_ids is not None and JobState.QUEUED in states:
        mine = columns.id.in_(sorted(leased_ids))
        others = columns.state != int(JobState.QUEUED)
        conditions.append(mine if len(states) == 1 else sa.or_(others, mine))
    return conditions


def _conditions(wanted: JobFilter, jobs: sa.Table) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.types:
        conditions.append(jobs.c.type.in_(sorted(wanted.types)))
    if wanted.categories and jobs is JOB_LIVE:
        conditions.append(_among(jobs.c.category, wanted.categories))
    if wanted.collection:
        conditions.append(jobs.c.collection == wanted.collection)
    if wanted.submitted_by:
        conditions.append(jobs.c.submitted_by == wanted.submitted_by)
    if wanted.parent_id is not None:
        conditions.append(jobs.c.parent_id == wanted.parent_id)
    if wanted.query:
        pattern = any_case(wanted.query)
        texts = (sa.cast(jobs.c.id, sa.Text), jobs.c.type, sa.cast(jobs.c.params, sa.Text), jobs.c.error)
        conditions.append(sa.or_(*(text.regexp_match(pattern) for text in texts)))
    return conditions


def _among(kinds: sa.ColumnElement[Any], values: Collection[int]) -> sa.ColumnElement[bool]:
    """Compare with constants in the text of the statement, so that a partial index can serve it."""
    numbers = sorted(int(value) for value in values)
    return kinds.in_(sa.bindparam(None, numbers, expanding=True, literal_execute=True))
