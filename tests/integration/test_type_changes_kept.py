"""A change of a job type reaches the jobs that wait, also where the leader that decided it is gone."""

import asyncpg
import pytest
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.store.job_types import load_type_changes
from callsheet_scheduler.use_cases.jobs import Submission
from callsheet_scheduler.use_cases.type_changes import NewNeeds, TypeChanges

from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import new_job_id
from tests.support.leader import Leader, leader

TYPE = "compile_mega"


async def submitted(queue: Leader, *wanted_mib: int | None) -> list[JobId]:
    return [
        accepted.id
        for accepted in await queue.jobs.submit([Submission(type=TYPE, vram_mib=mib) for mib in wanted_mib])
    ]


async def needs_mib(connection: asyncpg.Connection, ids: list[JobId]) -> list[int]:
    rows = await connection.fetch("SELECT id, vram_mib FROM job_live WHERE id = ANY($1)", ids)
    kept = {str(row["id"]): int(row["vram_mib"]) for row in rows}
    return [kept[job_id] for job_id in ids]


async def test_next_leader_gives_waiting_jobs_what_the_last_one_decided(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as first:
        ids = await submitted(first, None, 7_000, None)
        view = await TypeChanges(first.leadership, first.types).change(
            TYPE, NewNeeds(vram_mib=2_000, learns_vram=False), by="ann"
        )
        assert (view.charge_mib, view.declared.vram_mib, view.change.learns_vram) == (2_000, 6_000, False)
        assert await needs_mib(db_writer, ids) == [6_000, 7_000, 6_000]
    async with leader(fresh_dsn) as second:
        second.types.restore(await load_type_changes(db_writer))
        changes = TypeChanges(second.leadership, second.types)
        while await changes.move_some():
            pass
        assert await needs_mib(db_writer, ids) == [2_000, 7_000, 2_000]
        assert [job.vram_mib for job in second.term.engine.queue.jobs.values()] == [2_000, 7_000, 2_000]
        (kept,) = await load_type_changes(db_writer)
        assert (kept.by, kept.change.vram_mib, kept.moves_mib) == ("ann", 2_000, frozenset())
        assert await needs_mib(db_writer, await submitted(second, None)) == [2_000]


async def test_what_cannot_be_decided_is_refused_by_field_and_remedy(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as queue:
        changes = TypeChanges(queue.leadership, queue.types)

        async def refused(name: str, new: NewNeeds) -> tuple[str, str]:
            with pytest.raises(InvalidError) as caught:
                await changes.change(name, new, by="ann")
            return caught.value.field, caught.value.message

        assert await refused("scan", NewNeeds(vram_mib=1)) == (
            "vram_mib",
            "scan runs without a GPU: leave it out, or choose a GPU type",
        )
        assert await refused(TYPE, NewNeeds(run_limit_s=0)) == (
            "run_limit_s",
            "must be from 1 to 604800, not 0",
        )
        assert await refused(TYPE, NewNeeds(vram_mib=1, clear=frozenset({"vram_mib"}))) == (
            "vram_mib",
            "is set and taken back at once; leave out clear_vram_mib to set it",
        )
        with pytest.raises(NotFoundError, match="there is no job type 'paint'; there are cache_build, "):
            await changes.change("paint", NewNeeds(run_limit_s=1), by="ann")
        internal = {view.declared.name for view in changes.all(internal=True)}
        assert internal - {view.declared.name for view in changes.all(internal=False)} == {"reencode_chunk"}


async def test_job_has_the_size_of_the_item_that_it_names(
    fresh_dsn: str, db_writer: asyncpg.Connection
) -> None:
    async with leader(fresh_dsn) as queue:
        item_id = new_job_id()
        await db_writer.execute(
            """
            INSERT INTO library_item VALUES (
                $1, 'library', 'a/b.mp4', 2, 1, '', 9, 9, 'aa', 1920, 1080, 60, 'MP4', '', '', 0, 0, 0, 0,
                '{}', false, now(), now()
            )
            """,
            item_id,
        )
        wanted = [
            Submission(type="tag_generation", params=params)
            for params in (
                f'{{"videoId": "{item_id}"}}',
                f'{{"videoId": "{item_id.upper()}"}}',
                '{"inputPath": "a/b.mp4"}',
                f'{{"videoId": "{new_job_id()}"}}',
                "{}",
            )
        ]
        ids = [one.id for one in await queue.jobs.submit(wanted)]
        live = queue.term.engine.queue.jobs
        assert [live[job_id].size_class for job_id in ids] == [7, 7, 7, None, None]
        kept = await db_writer.fetchval("SELECT size_class FROM job_live WHERE id = $1", ids[0])
        assert kept == 7
