"""Statements that must stay quick in large tables go by index, and read the days that they need."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import cast

import asyncpg
import pytest
from callsheet_scheduler.store.statements import statement

from callsheet.ids import new_job_id
from tests.support.filled_database import plan, whole_scans

#: Statements that read a whole table because they are asked for all of it, or whose tables have a row for
#: each job type, category or leadership.
WHOLE = {
    "cache_totals": "counts all derivatives",
    "count_items": "counts all items",
    "load_allocations": "is how a leadership begins",
    "load_devices": "is how a leadership begins",
    "load_immich": "is how a leadership begins",
    "load_drains": "is how a leadership begins",
    "load_limits": "is how a leadership begins",
    "load_live": "is how a leadership begins",
    "load_outputs": "is how a leadership begins",
    "load_pauses": "is how a leadership begins",
    "load_schedules": "is how a leadership begins",
    "load_job_types": "reads a small table",
    "insert_key": "counts a small table",
    "read_keys": "reads a small table",
    "load_type_changes": "is how a leadership begins",
    "recount_devices": "is how a leadership begins",
    "read_partitions": "reads the catalogue",
    "read_term": "reads the one row",
    "bump_term": "writes the one row",
    "renew_term": "writes the one row",
    "try_candidate": "reads the one row",
    "end_other_leaders": "reads the sessions",
    "sum_day": "counts a day that is being dropped",
}

STATEMENTS = sorted(
    entry.name.removesuffix(".sql")
    for entry in (files("callsheet_scheduler.store") / "sql").iterdir()
    if entry.name.endswith(".sql")
)

HOT = [name for name in STATEMENTS if name not in WHOLE]


async def prepared(connection: asyncpg.Connection, text: str, values: Sequence[object] | None = None) -> str:
    """Prepare a statement as ``hot`` and return its call, with NULLs where no values are given."""
    parameters = (await connection.prepare(text)).get_parameters()
    types = ", ".join(_type_name(kind) for kind in parameters)
    await connection.execute(f"PREPARE hot {f'({types})' if types else ''} AS {text}")
    given = [None] * len(parameters) if values is None else values
    return f"EXECUTE hot ({', '.join(map(_literal, given))})" if types else "EXECUTE hot"


def test_statements_that_are_let_off_exist() -> None:
    assert set(STATEMENTS) > set(WHOLE)
    assert len(HOT) > 20


@pytest.mark.parametrize("name", HOT)
async def test_statement_of_the_leader_reads_no_table_from_end_to_end(
    writing: asyncpg.Connection, name: str
) -> None:
    assert whole_scans(await plan(writing, await prepared(writing, statement(name)))) == []


@pytest.mark.parametrize("name", [name for name in HOT if re.match("read_|find_", name)])
async def test_reader_is_not_tempted_by_a_generic_plan(reading: asyncpg.Connection, name: str) -> None:
    await reading.execute("SET plan_cache_mode = force_generic_plan")
    assert whole_scans(await plan(reading, await prepared(reading, statement(name)))) == []


async def test_a_sample_of_items_comes_from_everywhere_and_reads_a_part_of_the_table(
    reading: asyncpg.Connection,
) -> None:
    rows = await reading.fetch(statement("sample_items"), 10)
    ids = [row["id"] for row in rows]
    places = await reading.fetchval(
        "SELECT count(DISTINCT (ctid::text::point)[0]) FROM library_item WHERE id = ANY($1::uuid[])", ids
    )
    call = await prepared(reading, statement("sample_items"), [10])
    found = await reading.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {call}")
    read = sum(map(int, re.findall(r'"Shared (?:Hit|Read) Blocks": (\d+)', found)[:2]))  # of the whole
    blocks = await reading.fetchval("SELECT pg_relation_size('library_item') / 8192")

    assert len(set(ids)) == 10
    assert places > 3
    assert 0 < read < blocks / 4


@pytest.mark.parametrize(
    "name",
    [
        "find_done",
        "has_yielded",
        "read_attempts",
        "read_children",
        "read_done",
        "read_jobs",
        "read_log",
        "revive_jobs",
        "write_logs",
    ],
)
async def test_statement_about_a_job_touches_the_day_of_its_id_alone(
    writing: asyncpg.Connection, name: str
) -> None:
    rows = await writing.fetch(
        "SELECT id::text, token, right(tableoid::regclass::text, 8) AS day FROM job_done WHERE state = 6 AND"
        " tableoid = (SELECT tableoid FROM job_done GROUP BY tableoid ORDER BY count(*) DESC LIMIT 1) LIMIT 3"
    )
    ids = [row["id"] for row in rows]
    values: dict[str, Sequence[object]] = {
        "find_done": (ids, min(ids), max(ids)),
        "read_done": (ids, min(ids), max(ids)),
        "read_jobs": (ids, min(ids), max(ids)),
        "read_log": (ids[0], 0, 0),
        "read_attempts": (ids[0],),
        "has_yielded": (ids[0], 1),
        "read_children": (ids[0], 0, 10),
        "write_logs": (ids, [1] * 3, ["text"] * 3, [2] * 3),
        "revive_jobs": (ids, [row["token"] for row in rows], [6] * 3, [1] * 3, [1] * 3, None),
    }
    call = await prepared(writing, statement(name), values[name])
    change = writing.transaction()
    await change.start()
    found = await writing.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {call}")
    await change.rollback()
    text = "\n".join(row[0] for row in found)
    touched = re.findall(r" on job_(?:done|log|attempt)_(\d{8}).*\(actual", text)
    assert set(touched) <= {rows[0]["day"]}
    assert touched or name == "write_logs", text


async def test_log_is_read_in_order_without_sorting(reading: asyncpg.Connection) -> None:
    text = await plan(reading, await prepared(reading, statement("read_log"), (new_job_id(), 1, 5)))
    assert "Sort" not in text


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT COUNT(*) FROM jobs WHERE status='pending'", {"job_live"}),
        ("SELECT * FROM jobs WHERE status = 'running'", {"job_live"}),
        ("SELECT * FROM jobs WHERE status = 'failed'", {"job_live"}),
        ("SELECT log FROM jobs WHERE id = '{id}'", set[str]()),
    ],
)
async def test_documented_query_reads_what_it_asks_for(
    reading: asyncpg.Connection, query: str, tables: set[str]
) -> None:
    text = await plan(reading, query.format(id=new_job_id()))
    assert set(whole_scans(text)) <= tables


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            return f"'{value}'"
        case list():
            return f"'{{{','.join(map(str, cast('list[object]', value)))}}}'"
        case _:
            return str(value)


def _type_name(kind: asyncpg.Type) -> str:
    return f"{kind.name.removesuffix('[]')}[]" if kind.kind == "array" else kind.name
