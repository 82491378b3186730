"""A log is read whole and in order, and those who follow it hear of it when it grows."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from callsheet_scheduler.domain.effects import SendGrant
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.store import leader as keys
from callsheet_scheduler.store.paging import PAGE_BYTES_MAX

from callsheet.errors import NotFoundError, UnavailableError
from callsheet.ids import new_job_id
from tests.support.leader import Leader, leader
from tests.support.patience import PATIENCE_S

PIECE = 16 * 1024


@pytest.fixture
async def queue(fresh_dsn: str) -> AsyncIterator[Leader]:
    async with leader(fresh_dsn) as queue:
        yield queue


class Reader:
    """Follows a log and keeps what it hears."""

    def __init__(self, queue: Leader, job_id: JobId) -> None:
        self.text = ""
        self._grown = asyncio.Event()
        self.reading = asyncio.create_task(self._read(queue, job_id))

    async def _read(self, queue: Leader, job_id: JobId) -> str:
        async for text in queue.logs.read(job_id, follow=True):
            self.text += text
            self._grown.set()
        return self.text

    async def heard(self, text: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self.text.endswith(text):
                self._grown.clear()
                await self._grown.wait()


async def whole(queue: Leader, job_id: JobId) -> str:
    return "".join([text async for text in queue.logs.read(job_id, follow=False)])


async def ended(queue: Leader, grant: SendGrant, *, ending: Ending | None = None) -> None:
    """End an attempt and wait until its worker was told that this counts."""
    queue.end(grant, ending=ending)
    queue.term.commits.flush()
    await queue.told(lambda: bool(queue.hands.acks))


async def test_follower_hears_each_piece_when_it_is_written_and_ends_with_the_job(queue: Leader) -> None:
    [job_id] = await queue.submit()
    reader = Reader(queue, job_id)
    [grant] = await queue.granted(job_id)
    for number in range(1, 6):
        queue.say(grant, f"line {number}\n", first=number)
        await reader.heard(f"line {number}\n")
    queue.end(grant)
    queue.term.commits.flush()
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.reading == await whole(queue, job_id)
    assert len(queue.term.commits.followers) == 0


async def test_follower_asks_the_database_for_nothing_while_nothing_happens(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    [job_id] = await queue.submit()
    reader = Reader(queue, job_id)
    [grant] = await queue.granted(job_id)
    queue.say(grant, "one\n")
    await reader.heard("one\n")
    await queue.term.commits.quiet()
    last_asked = (
        "SELECT max(query_start) FROM pg_stat_activity"
        " WHERE application_name = 'callsheet-reader' AND datname = current_database()"
    )
    asked = [await db_writer.fetchval(last_asked)]
    while len(asked) < 5 and asked[-2:] != [asked[-1]] * 2:
        await db_writer.fetch("SELECT pg_sleep(0.7)")
        asked.append(await db_writer.fetchval(last_asked))
    assert asked[-1] == asked[-2]
    reader.reading.cancel()


async def test_text_that_is_on_its_way_when_the_job_ends_is_read_before_the_end(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    """The same piece, written by a transaction that is still open, holds the lane of the logs up."""
    [job_id] = await queue.submit()
    reader = Reader(queue, job_id)
    [grant] = await queue.granted(job_id)
    change = db_writer.transaction()
    await change.start()
    await db_writer.execute("INSERT INTO job_log VALUES ($1, 1, 1, '')", job_id)
    queue.say(grant, "early\n", "late\n")
    await ended(queue, grant)
    reading = asyncio.create_task(whole(queue, job_id))
    done, _ = await asyncio.wait({reading, reader.reading}, timeout=0.3)
    assert done == set()
    await change.rollback()
    async with asyncio.timeout(PATIENCE_S):
        assert await reading == await reader.reading == "early\nlate\n"


async def test_mark_does_not_overtake_the_text_before_it(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    [job_id] = await queue.submit()
    [grant] = await queue.granted(job_id)
    change = db_writer.transaction()
    await change.start()
    await db_writer.execute("INSERT INTO job_log VALUES ($1, 1, 1, '')", job_id)
    queue.say(grant, "text\n")
    await ended(queue, grant, ending=Ending.BAD_INPUT)
    queue.leave()
    await queue.actions.retry(job_id)
    assert await db_writer.fetchval("SELECT count(*) FROM job_log WHERE body LIKE '%RETRY ATTEMPT%'") == 1
    reader = Reader(queue, job_id)
    await db_writer.fetch("SELECT pg_sleep(0.1)")
    assert reader.text == ""
    await change.rollback()
    await reader.heard("--- RETRY ATTEMPT 1 ---\n")
    assert reader.text.startswith("text\n")
    reader.reading.cancel()


async def test_large_log_comes_in_messages_that_fit_and_without_a_gap(queue: Leader) -> None:
    [job_id] = await queue.submit()
    [grant] = await queue.granted(job_id)
    pieces = [f"{number:05}".ljust(PIECE - 1, "x") + "\n" for number in range(700)]
    queue.say(grant, *pieces)
    await ended(queue, grant)
    texts = [text async for text in queue.logs.read(job_id, follow=False)]
    assert "".join(texts) == "".join(pieces)
    assert max(map(len, texts)) <= PAGE_BYTES_MAX


async def test_piece_that_comes_twice_is_kept_once(queue: Leader) -> None:
    [job_id] = await queue.submit()
    [grant] = await queue.granted(job_id)
    queue.say(grant, "one\n", "two\n")
    queue.say(grant, "one\n", "two\n", "three\n")
    await ended(queue, grant)
    assert await whole(queue, job_id) == "one\ntwo\nthree\n"


async def test_follower_is_told_when_the_leadership_ends(
    queue: Leader, db_writer: asyncpg.Connection
) -> None:
    [job_id] = await queue.submit()
    reader = Reader(queue, job_id)
    [grant] = await queue.granted(job_id)
    queue.say(grant, "one\n")
    await reader.heard("one\n")
    await keys.take_over(db_writer, "other:7420")
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(UnavailableError, match="read the log again"):
            await reader.reading


async def test_log_of_an_unknown_job_is_not_found(queue: Leader) -> None:
    with pytest.raises(NotFoundError):
        await whole(queue, JobId(new_job_id()))
