"""A scheduler, REST and a worker to steer, shared by the tests of a module."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from typing_extensions import override

from callsheet.catalog import JobType
from callsheet.client import Patience
from callsheet.params import NoParams
from callsheet.worker.context import JobContext
from callsheet.worker.processor import Outcome, Processor
from tests.support.fresh_database import new_database
from tests.support.gateways import rest_over
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.rest import JOBS, OBJECTS, Rest
from tests.support.workers import RunningWorker, running_worker


class Steps(Processor[NoParams]):
    """Takes two steps, each when the test lets it, and can stop between them."""

    job_type = JobType(name="steps", description="Takes steps.", params=NoParams, resumable=True)

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0

    @override
    async def process(self, params: NoParams, context: JobContext) -> Outcome:
        self.begun += 1
        came_from = int(str((context.checkpoint or {}).get("step", 0)))
        for step in range(came_from, 2):
            await self.go_on.wait()
            context.save({"step": step + 1})
        return Outcome(result={"cameFrom": came_from})


class Steered(NamedTuple):
    """What these tests share."""

    scheduler: RealScheduler
    rest: Rest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def steered(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Steered]:
    dsn = await new_database(database_server)
    async with real_scheduler(dsn, tmp_path_factory.mktemp("scheduler")) as scheduler:
        patience = Patience(total_s=20.0, try_s=30.0)
        async with rest_over(scheduler.address, GatewaySettings(), patience=patience) as client:
            yield Steered(scheduler, Rest(client))


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest_asyncio.fixture(loop_scope="module")
async def steered_worker(steered: Steered, steps: Steps, tmp_path: Path) -> AsyncGenerator[RunningWorker]:
    """A worker of three slots; when it is gone no job, pause or limit of the test is left."""
    async with running_worker(steered.scheduler.port, tmp_path, more=[steps]) as worker:
        await steered.rest.known("steps")
        yield worker
        worker.patient.go_on.set()
        steps.go_on.set()
    rest = steered.rest
    for queue in OBJECTS.validate_python((await rest.ask("GET", "/api/queues"))["data"]):
        await rest.ask("POST", f"/api/queues/{queue['scope']}/resume")
        await rest.ask(
            "PATCH", "/api/queues", {"scope": queue["scope"], "hostLimit": None, "fleetLimit": None}
        )
    await rest.ask("POST", f"{JOBS}/actions", {"action": "cancel", "filter": {}})
