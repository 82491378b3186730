"""REST goes on while one scheduler takes over from another."""

import asyncio
from pathlib import Path

from callsheet_gateway.settings import GatewaySettings

from callsheet.client import Patience
from tests.support.gateways import rest_over
from tests.support.replicas import addresses_of, leader_of, replicas_on
from tests.support.rest import OBJECTS, Rest
from tests.support.workers import running_worker

PATIENCE = Patience(total_s=30.0, try_s=2.0)


async def test_requests_are_answered_through_the_death_of_the_leader(fresh_dsn: str, tmp_path: Path) -> None:
    async with (
        replicas_on(fresh_dsn, tmp_path, leader_ttl_s="2", lease_ttl_s="4") as replicas,
        running_worker(0, tmp_path, scheduler=addresses_of(replicas)) as worker,
        rest_over(addresses_of(replicas), GatewaySettings(), patience=PATIENCE) as client,
    ):
        rest = Rest(client)
        await rest.known("patient")
        kept = await rest.create("patient")
        await rest.once(kept, "running")
        leader, _ = await leader_of(replicas)
        creating = asyncio.gather(*(rest.create("noop") for _ in range(8)))
        await leader.process.kill()
        asked = await asyncio.gather(rest.job(kept), rest.create("noop"), rest.queue("cpu"))
        ids = [*await creating, asked[1]]
        for job_id in ids:
            await rest.once(job_id, "completed")
        worker.patient.go_on.set()
        done = await rest.once(kept, "completed")
        assert (await rest.count(), len(set(ids)), worker.patient.begun) == (10, 9, 1)
        assert [attempt["outcome"] for attempt in OBJECTS.validate_python(done["attempts"])] == ["completed"]
