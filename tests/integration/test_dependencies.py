"""Dependencies and unique keys, kept by the tables across leaders."""

import asyncio

import asyncpg
import pytest
from callsheet_scheduler.domain.job import IfFails, JobId, JobState
from callsheet_scheduler.domain.outcome import Ending
from callsheet_scheduler.use_cases.jobs import Submission

from callsheet.errors import ConflictError, InvalidError
from tests.support.leader import Leader, id_at, leader

SCAN = '{"directoryType": "a"}'


async def submit(to: Leader, *needs: JobId, if_fails: IfFails = IfFails.FAIL, key: str = "") -> JobId:
    """Submit one job."""
    [job] = await to.jobs.submit([asked(to, *needs, if_fails=if_fails, key=key)])
    return job.id


def asked(to: Leader, *needs: JobId, if_fails: IfFails = IfFails.FAIL, key: str = "") -> Submission:
    """Return what asks for one job."""
    return Submission(
        id=id_at(to.now()),
        type="public_scan",
        params=SCAN,
        depends_on=needs,
        if_dependency_fails=if_fails,
        unique_key=key,
    )


async def state(database: asyncpg.Connection, job_id: JobId) -> JobState | None:
    """Return the state of a job of history."""
    found = await database.fetchval("SELECT state FROM job_done WHERE id = $1", job_id)
    return None if found is None else JobState(found)


async def test_dependencies_outlive_the_leader(fresh_dsn: str, db_writer: asyncpg.Connection) -> None:
    async with leader(fresh_dsn) as one:
        first, broken = await submit(one), await submit(one)
        last, unmet = await submit(one, first), await submit(one, broken)
        await one.finish(first, ending=None)
        held = await submit(one, last, if_fails=IfFails.RUN)
        one.leave()

    async with leader(fresh_dsn) as two:
        assert two.term.engine.queue.jobs[held].needs_others
        assert not two.term.engine.queue.jobs[last].needs_others
        await two.finish(broken, ending=Ending.BAD_INPUT)
        await two.finish(last)
        await two.finish(held)
        await two.term.commits.quiet()

    assert await state(db_writer, held) is JobState.COMPLETED
    assert await state(db_writer, unmet) is JobState.FAILED


@pytest.mark.parametrize(
    ("ending", "if_fails", "ends"),
    [
        (None, IfFails.FAIL, JobState.COMPLETED),
        (Ending.BAD_INPUT, IfFails.FAIL, JobState.FAILED),
        (Ending.BAD_INPUT, IfFails.CANCEL, JobState.CANCELLED),
        (Ending.BAD_INPUT, IfFails.RUN, JobState.COMPLETED),
    ],
)
async def test_dependency_of_history_counts_as_it_ended(
    fresh_dsn: str, db_writer: asyncpg.Connection, ending: Ending | None, if_fails: IfFails, ends: JobState
) -> None:
    async with leader(fresh_dsn) as one:
        first = await submit(one)
        await one.finish(first, ending=ending)

        last = await submit(one, first, if_fails=if_fails)

        if ends is JobState.COMPLETED:
            await one.finish(last)
        await one.term.commits.quiet()
        assert await state(db_writer, last) is ends


async def test_unknown_dependencies_and_circles_are_refused(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        unknown = id_at(one.now())
        with pytest.raises(InvalidError, match=f"there is no job {unknown}") as refused:
            await submit(one, unknown)
        assert refused.value.field == "depends_on"

        first, second = asked(one), asked(one)
        circle = [
            first._replace(depends_on=(second.id,)),
            second._replace(depends_on=(first.id,)),
        ]
        with pytest.raises(InvalidError, match="needs itself by way of others"):
            await one.jobs.submit(circle)
        with pytest.raises(InvalidError, match="cannot depend on itself"):
            await one.jobs.submit([first._replace(depends_on=(first.id,))])
        assert not one.term.engine.queue.jobs


async def test_job_is_not_accepted_that_needs_one_which_is_being_refused(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        done = await submit(one)
        await one.finish(done)
        wanted, clash = asked(one), asked(one)._replace(id=done, priority=1)

        both, needing = await asyncio.gather(
            one.jobs.submit([wanted, clash]),
            submit(one, JobId(wanted.id), if_fails=IfFails.RUN),
            return_exceptions=True,
        )

        assert isinstance(both, ConflictError)
        assert isinstance(needing, InvalidError)
        assert f"there is no job {wanted.id}" in str(needing)
        assert not one.term.engine.queue.jobs


async def test_jobs_of_one_submission_may_need_one_another_in_any_order(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        first = asked(one)
        last = asked(one, JobId(first.id))
        await one.jobs.submit([last, first])
        await one.finish(JobId(first.id))
        [again] = await one.jobs.submit([last])
        assert again.existed
        await one.finish(JobId(last.id))


async def test_repeated_submission_finds_the_done_part_done(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        first = asked(one)
        last = asked(one, JobId(first.id))
        await one.jobs.submit([first])
        await one.finish(JobId(first.id))

        answers = await one.jobs.submit([first, last])

        assert [answer.existed for answer in answers] == [True, False]
        await one.finish(JobId(last.id))


async def test_unique_key_is_answered_with_the_job_that_has_it(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        holder, one_more = asked(one, key="nightly"), asked(one, key="nightly")
        answers = await one.jobs.submit([holder, one_more])
        assert [(answer.id, answer.existed) for answer in answers] == [(holder.id, False), (holder.id, True)]

        await one.finish(JobId(holder.id), ending=Ending.BAD_INPUT)
        taken = await submit(one, key="nightly")
        assert taken != holder.id
        with pytest.raises(ConflictError, match=f"the job {taken} has the unique key 'nightly' now"):
            await one.actions.retry(JobId(holder.id))
        await one.finish(taken)

        await one.actions.retry(JobId(holder.id))
        assert await submit(one, key="nightly") == holder.id


async def test_retried_job_needs_no_longer_what_has_ended(fresh_dsn: str) -> None:
    async with leader(fresh_dsn) as one:
        first = await submit(one)
        last = await submit(one, first)
        await one.finish(first, ending=Ending.BAD_INPUT)
        await one.term.commits.quiet()

        await one.actions.retry(last)

    async with leader(fresh_dsn) as two:
        await two.finish(last)
