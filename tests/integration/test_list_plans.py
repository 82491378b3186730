"""Lists of jobs and items go by index, whatever they are filtered by."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from callsheet_scheduler.domain.job import FINAL, JobId, JobState
from callsheet_scheduler.domain.library import ItemState, MediaKind, Orientation
from callsheet_scheduler.store.job_lists import JobFilter, page_statement
from callsheet_scheduler.store.library_reads import ItemFilter, items_statement

from callsheet.catalog import Category
from callsheet.ids import new_job_id
from tests.support.filled_database import plan, whole_scans

DIALECT = sa.create_engine("postgresql+asyncpg://").dialect


def rendered(query: sa.Select[Any] | sa.Select[Any, Any, Any]) -> str:
    return str(query.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


LAST = JobId(new_job_id())


async def test_reading_a_whole_table_would_be_noticed(reading: asyncpg.Connection) -> None:
    assert whole_scans(await plan(reading, "SELECT FROM job_live WHERE error = 'x'")) == ["job_live"]
    assert whole_scans(await plan(reading, "SELECT FROM library_item WHERE width = 7")) == ["library_item"]


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("last", [None, LAST], ids=["first page", "later page"])
@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(),
        JobFilter(states=frozenset({JobState.PENDING})),
        JobFilter(states=frozenset({JobState.FAILED})),
        JobFilter(states=frozenset({JobState.FAILED, JobState.CANCELLED})),
        JobFilter(states=frozenset({JobState.COMPLETED})),
        JobFilter(states=FINAL),
        JobFilter(states=frozenset({JobState.PAUSED, JobState.PENDING, JobState.COMPLETED})),
        JobFilter(states=frozenset({JobState.COMPLETED}), types=frozenset({"type7"})),
        JobFilter(categories=frozenset({Category.GPU_AI})),
        JobFilter(categories=frozenset({Category.GPU_AI, Category.GPU_ENCODE})),
        JobFilter(states=frozenset({JobState.RUNNING}), leased_ids=frozenset({LAST})),
    ],
)
async def test_pages_of_jobs_go_by_index(
    reading: asyncpg.Connection, wanted: JobFilter, last: JobId | None, *, oldest_first: bool
) -> None:
    wanted = replace(wanted, oldest_first=oldest_first)
    text = await plan(reading, rendered(page_statement(wanted, last=last, skip=0, limit=21)))
    assert "Index" in text
    assert whole_scans(text) == []


@pytest.mark.parametrize("oldest_first", [False, True], ids=["newest first", "oldest first"])
async def test_free_text_is_looked_for_between_two_ids_alone(
    reading: asyncpg.Connection, *, oldest_first: bool
) -> None:
    wanted = JobFilter(query="nowhere", oldest_first=oldest_first)
    rows = await reading.fetch("SELECT id::text FROM job_done ORDER BY id OFFSET 10000 LIMIT 400")
    ids = [JobId(row["id"]) for row in rows]
    last, edge = (ids[0], ids[-1]) if oldest_first else (ids[-1], ids[0])
    text = await plan(reading, rendered(page_statement(wanted, last=last, skip=0, limit=21, edge=edge)))
    assert whole_scans(text) == []
    assert "Index Cond" in text


@pytest.mark.parametrize("states", [frozenset[JobState](), frozenset({JobState.COMPLETED}), FINAL])
async def test_jobs_of_a_rare_category_are_found_by_its_index(
    reading: asyncpg.Connection, states: frozenset[JobState]
) -> None:
    wanted = JobFilter(states=states, categories=frozenset({Category.GPU_AI}))
    assert "category_id_idx" in await plan(
        reading, rendered(page_statement(wanted, last=None, skip=0, limit=21))
    )


async def test_failed_jobs_are_found_by_the_index_of_what_did_not_complete(
    reading: asyncpg.Connection,
) -> None:
    wanted = JobFilter(states=frozenset({JobState.FAILED}))
    assert "state_id_idx" in await plan(
        reading, rendered(page_statement(wanted, last=None, skip=0, limit=21))
    )


@pytest.mark.parametrize("after", ["", "year3/day77/x"])
@pytest.mark.parametrize(
    "wanted",
    [
        ItemFilter(),
        ItemFilter(root="root2"),
        ItemFilter(root="root2", folder="year3"),
        ItemFilter(root="root2", folder="year3/day77", kinds=(MediaKind.IMAGE,)),
        ItemFilter(root="root2", states=(ItemState.OK,)),
        ItemFilter(root="root2", tags=("image",)),
        ItemFilter(root="root2", orientations=(Orientation.LANDSCAPE,), min_duration_s=1.0),
    ],
)
async def test_pages_of_items_go_by_index(
    reading: asyncpg.Connection, wanted: ItemFilter, after: str
) -> None:
    place = (wanted.root or "root1", after) if after else None
    text = await plan(reading, rendered(items_statement(wanted, place, 101)))
    assert "library_item_root_path_key" in text
    assert whole_scans(text) == []


async def test_items_with_a_rare_tag_are_found_by_the_tag(reading: asyncpg.Connection) -> None:
    text = await plan(reading, rendered(items_statement(ItemFilter(tags=("rare",)), None, 101)))
    assert "library_tag_tag" in text
    assert whole_scans(text) == []
