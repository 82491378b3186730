"""What is decided of a job type holds for new jobs and waiting ones, and outlives the scheduler."""

import asyncio
from pathlib import Path

from callsheet_gateway.settings import GatewaySettings

from callsheet.client import Patience
from tests.support.cards import card
from tests.support.command_line import CommandLine
from tests.support.gateways import rest_over
from tests.support.gpu_workers import GpuHost
from tests.support.real_scheduler import real_scheduler
from tests.support.rest import OBJECTS, Json, Rest

TYPES = "/api/media/job-types"
CHANGE = f"{TYPES}/test_gpu"
PATIENT = Patience(total_s=30.0, try_s=30.0)


async def shown(rest: Rest, name: str = "test_gpu") -> Json:
    found = OBJECTS.validate_python((await rest.ask("GET", f"{TYPES}?internal=true"))["data"])
    return next(one for one in found if one["type"] == name)


async def waits(rest: Rest, job_id: str, reason: str) -> Json:
    """Wait until a job waits for this reason."""
    while (job := await rest.job(job_id))["waitingReason"] != reason:  # noqa: ASYNC110 -- nothing sets an event
        await asyncio.sleep(0.05)
    assert job["status"] == "pending"
    return job


async def test_changed_need_holds_for_new_and_waiting_jobs_and_outlives_the_scheduler(
    fresh_dsn: str, tmp_path: Path
) -> None:
    host = GpuHost(tmp_path)
    host.driver.set(card(mib=16_384, used_mib=10))
    async with (
        real_scheduler(fresh_dsn, tmp_path) as scheduler,
        host.worker(scheduler.address),
        rest_over(scheduler.address, GatewaySettings(), patience=PATIENT) as client,
    ):
        rest, callsheet = Rest(client), CommandLine(tmp_path, scheduler=scheduler.address)
        await rest.known("test_gpu")
        running = await rest.create("test_gpu", params={"seconds": 600})
        await rest.once(running, "running")

        changed = await rest.ask("PATCH", CHANGE, {"vramRequired": 24_000, "runLimit": 900})
        assert changed["inForce"] == {"vramRequired": 24_000, "source": "changed"}
        assert changed["declared"] == {"vramRequired": 2000, "runLimit": 1800, "applyLearned": False}
        assert changed["changed"] == {"vramRequired": 24_000, "runLimit": 900, "applyLearned": None}
        assert (changed["vramRequired"], changed["runLimit"]) == (24_000, 900)
        assert (await rest.job(running))["vramRequired"] == 2000

        never = "Needs 24000 MB; the largest GPU has 15872 MB"
        ordinary = await rest.create("test_gpu", params={"seconds": 1})
        larger = await rest.create("test_gpu", params={"seconds": 1}, vramRequired=30_000)
        assert (await waits(rest, ordinary, never))["vramRequired"] == 24_000
        await waits(rest, larger, never.replace("24000", "30000"))
        status, field, said = await rest.refused(
            "POST", "/api/media/jobs", {"type": "test_gpu", "vramRequired": 9}
        )
        assert (status, field) == (422, "vramRequired")
        assert said.endswith("must be from 24000 to 16777216, not 9")

        await scheduler.kill()
        await scheduler.start()
        assert (await shown(rest))["changed"] == changed["changed"]
        await waits(rest, ordinary, never)

        ended = await callsheet.run("types", "set", "test_gpu", "--vram", "declared", "--run-limit", "60")
        assert ended.code == 0, ended.err
        assert (await rest.once(ordinary, "completed"))["vramRequired"] == 2000
        assert (await rest.job(larger))["status"] == "pending"
        assert (await rest.job(running))["vramRequired"] == 2000
        document = (await callsheet.run("types", "show", "test_gpu", "--json")).document()
        assert document["change"] == {"vram_mib": None, "run_limit_s": 60, "learns_vram": None}
