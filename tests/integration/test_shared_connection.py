"""Callers share the connection for library rows, and one that leaves harms nobody."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import asyncpg
import pytest
from callsheet_scheduler.domain.job_type import KnownType
from callsheet_scheduler.store.job_types import load_job_types, save_job_types
from callsheet_scheduler.store.shared import Shared

from tests.support.job_types import NOOP


def types(name: str) -> Sequence[KnownType]:
    return [replace(NOOP, name=name)]


async def save(shared: Shared[asyncpg.Connection], name: str) -> str:
    async def work(connection: asyncpg.Connection) -> str:
        async with connection.transaction():
            await save_job_types(connection, types(name))
        return name

    return await shared.use(work)


async def test_callers_that_leave_in_the_middle_break_nothing_of_the_others(
    db_writer: asyncpg.Connection,
) -> None:
    shared = Shared(db_writer)
    chance = Random(7)  # noqa: S311 -- a chance that can be repeated
    answers: list[str | BaseException] = []
    for round_number in range(60):
        calls = [asyncio.create_task(save(shared, f"t{round_number}_{n}")) for n in range(8)]
        for call in calls:
            if chance.random() < 0.5:
                for _ in range(chance.randrange(1, 40)):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.sleep(0)
                call.cancel()
        answers += await asyncio.gather(*calls, return_exceptions=True)
    kept = {known.name for known in await shared.use(load_job_types)}
    told = {answer for answer in answers if isinstance(answer, str)}
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert 0 < len(told) < len(answers)
    assert told <= kept


async def test_caller_that_leaves_while_it_waits_begins_nothing(db_writer: asyncpg.Connection) -> None:
    shared = Shared(db_writer)
    go_on = asyncio.Event()

    async def hold(_: asyncpg.Connection) -> None:
        await go_on.wait()

    holding = asyncio.create_task(shared.use(hold))
    waiting = asyncio.create_task(save(shared, "never"))
    await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    await holding
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await shared.use(load_job_types) == []


async def test_error_reaches_its_caller_and_the_next_is_served(db_writer: asyncpg.Connection) -> None:
    shared = Shared(db_writer)

    async def fail(connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT 1/0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await shared.use(fail)
    assert await save(shared, "next") == "next"
