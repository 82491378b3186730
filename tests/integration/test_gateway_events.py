"""The stream of events over a real scheduler: what is told and when, what is missed, and what ends it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from tests.support.fresh_database import new_database
from tests.support.listening import listening, served
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.rest import JOBS, OBJECTS, Rest
from tests.support.workers import RunningWorker, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = f"{JOBS}/events"
UNKNOWN = "019aa1f7-6f00-7000-8000-000000000001"
LATER = "2199-01-01T00:00:00Z"


class Stack(NamedTuple):
    """What these tests share: each looks at its own jobs only."""

    scheduler: RealScheduler
    rest: Rest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stack]:
    dsn = await new_database(database_server)
    async with (
        real_scheduler(dsn, tmp_path_factory.mktemp("scheduler")) as scheduler,
        served(scheduler.address, GatewaySettings()) as gateway,
    ):
        yield Stack(scheduler, Rest(gateway.rest))


@pytest.fixture
def rest(stack: Stack) -> Rest:
    return stack.rest


@pytest_asyncio.fixture(loop_scope="module")
async def worker(stack: Stack, tmp_path: Path) -> AsyncGenerator[RunningWorker]:
    async with running_worker(stack.scheduler.port, tmp_path) as worker:
        await stack.rest.known("patient")
        yield worker
        worker.patient.go_on.set()


async def test_life_of_a_job_is_told_as_lists_have_it(rest: Rest, worker: RunningWorker) -> None:
    async with listening(rest.client, EVENTS) as listener:
        await listener.begun()
        assert listener.answer.headers["content-type"].startswith("text/event-stream")
        assert listener.answer.headers["cache-control"] == "no-store"
        job_id = await rest.create("patient", priority=3)
        running = await listener.until("job", id=job_id, status="running")
        listed = OBJECTS.validate_python((await rest.ask("GET", f"{JOBS}?limit=1"))["data"])
        assert running.data.keys() == listed[0].keys()
        worker.patient.go_on.set()
        completed = await listener.until("job", id=job_id, status="completed")
        assert completed.data["progress"] == 100


async def test_listener_that_comes_back_misses_nothing_and_hears_nothing_twice(rest: Rest) -> None:
    async with listening(rest.client, EVENTS) as listener:
        first = await rest.create("scan", runAt=LATER)
        heard = await listener.until("job", id=first)
    second = await rest.create("scan", runAt=LATER)
    third = await rest.create("scan", runAt=LATER)
    async with listening(rest.client, EVENTS, after=heard.id) as listener:
        told = [(await listener.until("job")).data["id"] for _ in range(2)]
    assert sorted(map(str, told)) == sorted([second, third])


@pytest.mark.parametrize("unknown", ["0123456789abcdef-1", "7", "x y"])
async def test_listener_whose_place_is_not_known_is_told_to_ask_again(rest: Rest, unknown: str) -> None:
    async with listening(rest.client, EVENTS, after=unknown) as listener:
        reset = await listener.next()
        assert reset.name == "reset"
        assert "ask for what is shown again" in str(reset.data["reason"])
        job_id = await rest.create("scan", runAt=LATER)
        assert (await listener.until("job")).data["id"] == job_id


async def test_log_is_followed_to_its_end_and_from_where_a_listener_was(
    rest: Rest, worker: RunningWorker
) -> None:
    job_id = await rest.create("count", params={"countTo": 3})
    async with listening(rest.client, f"{JOBS}/{job_id}/log", follow="true") as listener:
        heard = [await listener.next()]
        while heard[-1].name != "end":
            heard.append(await listener.next())
    whole = (await rest.client.get(f"{JOBS}/{job_id}/log")).text
    assert "\n".join(one.text for one in heard[:-1]) + "\n" == whole
    assert "number 3" in whole
    assert heard[-1].data == {"status": "completed"}
    assert int(heard[-1].id) == len(whole)
    known = whole.index("number 2")
    async with listening(rest.client, f"{JOBS}/{job_id}/log", after=str(known), follow="true") as listener:
        rest_of_it = await listener.next()
        assert rest_of_it.text + "\n" == whole[known:]
        assert (await listener.next()).name == "end"
        with pytest.raises(EOFError):
            await listener.next()
    assert (await rest.client.get(f"{JOBS}/{UNKNOWN}/log?follow=true")).status_code == 404


async def test_filters_choose_by_type_status_and_collection(rest: Rest) -> None:
    async with (
        listening(rest.client, EVENTS, type="validate") as types,
        listening(rest.client, EVENTS, status="cancelled") as statuses,
        listening(rest.client, EVENTS, collection="iceland") as collections,
    ):
        for listener in (types, statuses, collections):
            await listener.begun()
        await rest.create("scan", runAt=LATER)
        validate = await rest.create(
            "validate", params={"videoId": "019aa1f7-6f00-7000-8000-000000000001"}, runAt=LATER
        )
        iceland = await rest.create("scan", runAt=LATER, collection="iceland")
        assert (await types.until("job")).data["id"] == validate
        assert (await collections.until("job")).data["id"] == iceland
        await rest.ask("POST", f"{JOBS}/{validate}/cancel")
        assert (await statuses.until("job")).data["id"] == validate
    for asked in ({"status": "lost"}, {"type": "a b"}, {"collection": "A"}, {"page": "1"}):
        assert (await rest.client.get(EVENTS, params=asked)).status_code == 422


async def test_changes_around_the_jobs_are_told_without_what_they_are(
    stack: Stack, rest: Rest, tmp_path: Path
) -> None:
    async with listening(rest.client, EVENTS) as listener:
        await rest.ask("POST", "/api/queues/scan/pause")
        assert (await listener.until("queues")).data == {}
        async with running_worker(stack.scheduler.port, tmp_path, host="borealis"):
            assert (await listener.until("workers")).data == {}
    await rest.ask("POST", "/api/queues/scan/resume")


async def test_restart_of_the_scheduler_is_told_and_survived(stack: Stack, rest: Rest) -> None:
    async with listening(rest.client, EVENTS) as listener:
        await listener.begun()
        await stack.scheduler.kill()
        assert "may be old" in str((await listener.until("away")).data["reason"])
        async with listening(rest.client, EVENTS) as late:
            assert (await late.next()).name == "away"
            await stack.scheduler.start()
            reset = await listener.until("reset")
            assert (await late.until("reset")).id == reset.id
        job_id = await rest.create("scan", runAt=LATER)
        assert (await listener.until("job")).data["id"] == job_id


async def test_many_listeners_share_one_watch_and_all_hear(rest: Rest) -> None:
    async with AsyncExitStack() as open_streams:
        listeners = [
            await open_streams.enter_async_context(listening(rest.client, EVENTS)) for _ in range(50)
        ]
        for listener in listeners:
            await listener.begun()
        job_id = await rest.create("scan", runAt=LATER)
        heard = await asyncio.gather(*(listener.until("job", id=job_id) for listener in listeners))
        assert len({(one.id, one.text) for one in heard}) == 1
    assert len([task for task in asyncio.all_tasks() if task.get_name() == "live events"]) == 1


async def test_streams_outlive_the_deadline_of_requests_and_end_with_the_gateway(stack: Stack) -> None:
    quick = GatewaySettings(request_deadline_s=1.0, miss_wait_s=0.2, event_heartbeat_s=0.1)
    async with (
        served(stack.scheduler.address, quick) as gateway,
        listening(gateway.rest, EVENTS) as listener,
    ):
        await listener.begun()
        listening_on = asyncio.create_task(listener.until("job"))
        while listener.comments < 15:  # noqa: ASYNC110 -- nothing sets an event
            await asyncio.sleep(0.02)
        assert (await gateway.rest.head(EVENTS)).status_code == 200
        job_id = await stack.rest.create("scan", runAt=LATER)
        assert (await listening_on).data["id"] == job_id
        gateway.stop.set()
        with pytest.raises(EOFError):
            await listener.until("never")
