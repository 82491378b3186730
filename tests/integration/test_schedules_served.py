"""Schedules over REST and on the command line, with a real scheduler and worker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import JsonValue

from tests.support.command_line import CommandLine
from tests.support.rest import JOBS, OBJECTS, Rest
from tests.support.steered import Steered
from tests.support.workers import RunningWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEDULES = "/api/schedules"
NIGHTLY: dict[str, JsonValue] = {
    "name": "media-cache",
    "cron": "0 3 * * *",
    "timeZone": "Europe/Berlin",
    "jitterS": 1800,
    "catchUp": "all",
    "job": {"type": "scan", "params": {"path": "night"}, "priority": 8},
}


@pytest_asyncio.fixture(loop_scope="module")
async def rest(steered: Steered) -> AsyncIterator[Rest]:
    """REST; no schedule of a test is left."""
    yield steered.rest
    for schedule in OBJECTS.validate_python((await steered.rest.ask("GET", SCHEDULES))["data"]):
        await steered.rest.client.delete(f"{SCHEDULES}/{schedule['name']}")


@pytest.fixture
def callsheet(steered: Steered, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, scheduler=steered.scheduler.address)


async def test_schedule_is_added_seen_changed_and_removed(rest: Rest) -> None:
    added = await rest.ask("POST", SCHEDULES, NIGHTLY, status=201)
    assert await rest.ask("POST", SCHEDULES, NIGHTLY, status=201) == added
    assert (added["jitterS"], added["catchUp"], added["catchUpMax"]) == (1800, "all", 10)
    assert added["job"] == {
        "type": "scan",
        "params": {"path": "night"},
        "priority": 8,
        "vramRequired": None,
        "maxRetries": None,
        "interactive": False,
        "uniqueKey": None,
        "collection": None,
    }
    assert (added["pausedAt"], added["lastTickAt"], added["lastJobId"]) == (None, None, None)
    assert str(added["nextRunAt"]) > str(added["createdAt"])
    assert await rest.ask("GET", f"{SCHEDULES}/media-cache") == added
    assert (await rest.ask("GET", SCHEDULES))["data"] == [added]

    changed = await rest.ask("PATCH", f"{SCHEDULES}/media-cache", {"timeZone": "UTC", "jitterS": 0})
    assert (changed["cron"], changed["timeZone"], changed["jitterS"]) == ("0 3 * * *", "UTC", 0)
    assert str(changed["nextRunAt"]).endswith("T03:00:00.000Z")
    assert (await rest.ask("POST", f"{SCHEDULES}/media-cache/pause"))["nextRunAt"] is None
    assert (await rest.ask("POST", f"{SCHEDULES}/media-cache/resume"))["pausedAt"] is None
    assert (await rest.client.delete(f"{SCHEDULES}/media-cache")).status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/run"), ("POST", "/pause")):
        assert (await rest.refused(method, f"{SCHEDULES}/media-cache{path}"))[0] == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "0 3 * *"}, "cron"),
        ({"timeZone": "Mars"}, "timeZone"),
        ({"name": "Media Cache"}, "name"),
        ({"job": {"type": "nothing"}}, "job.type"),
        ({"job": {"type": "scan", "params": {"shelf": 1}}}, "job.params.shelf"),
        ({"job": {"type": "scan", "runAt": "2030-01-01T00:00:00Z"}}, "job.runAt"),
        ({"job": {"type": "scan", "dependsOn": ["019aa1f7-6f00-7000-8000-000000000001"]}}, "job.dependsOn"),
        ({"jitterS": 100_000}, "jitterS"),
        ({"catchUp": "some"}, "catchUp"),
    ],
)
async def test_wrong_schedule_is_refused_with_the_field(
    rest: Rest, wrong: dict[str, JsonValue], field: str
) -> None:
    assert (await rest.refused("POST", SCHEDULES, NIGHTLY | wrong))[:2] == (422, field)
    assert (await rest.ask("GET", SCHEDULES))["data"] == []


async def test_another_schedule_of_the_name_is_a_conflict(rest: Rest) -> None:
    await rest.ask("POST", SCHEDULES, NIGHTLY, status=201)
    assert (await rest.refused("POST", SCHEDULES, NIGHTLY | {"cron": "0 4 * * *"}))[0] == 409


async def test_schedule_submits_jobs_by_the_clock_and_goes_on_after_the_death_of_the_scheduler(
    callsheet: CommandLine, rest: Rest, steered: Steered, steered_worker: RunningWorker
) -> None:
    every = ("--catch-up", "all", "--catch-up-max", "100")
    added = await callsheet.run("schedules", "add", "often", "* * * * * *", "noop", *every)
    assert added.code == 0, added.err
    first = await steered.rest.until(f"{SCHEDULES}/often", lambda one: one["lastJobId"] is not None)
    await rest.once(str(first["lastJobId"]), "completed")
    await steered.scheduler.kill()
    await steered.scheduler.start()
    later = await steered.rest.until(
        f"{SCHEDULES}/often", lambda one: str(one["lastTickAt"]) > str(first["lastTickAt"])
    )
    await rest.once(str(later["lastJobId"]), "completed")
    removed = await callsheet.run("schedules", "remove", "often")
    assert (removed.code, removed.out) == (0, "Removed.\n")
    jobs = OBJECTS.validate_python((await rest.ask("GET", f"{JOBS}?type=noop&limit=200"))["data"])
    ticks = sorted(int(str(job["id"])[:8] + str(job["id"])[9:13], 16) // 1000 for job in jobs)
    assert ticks == list(range(ticks[0], ticks[-1] + 1))


async def test_schedules_are_kept_on_the_command_line(callsheet: CommandLine, rest: Rest) -> None:
    assert (await callsheet.run("schedules", "list")).err == "No schedules.\n"
    added = await callsheet.run(
        *("schedules", "add", "nightly", "0 3 * * *", "scan", "--zone", "Europe/Berlin"),
        *("--jitter", "60", "--param", "path=a", "--priority", "9", "--unique", "nightly"),
    )
    assert added.code == 0, added.err
    assert "Europe/Berlin" in added.out
    changed = await callsheet.run(
        *("schedules", "change", "nightly", "--cron", "0 4 * * *", "--param", "path=b", "--json")
    )
    document = changed.document()
    assert (document["cron"], document["time_zone"]) == ("0 4 * * *", "Europe/Berlin")
    job = document["job"]
    assert isinstance(job, dict)
    assert (job["params"], job["priority"], job["unique_key"]) == ({"path": "b"}, 9, "nightly")
    for key in ("weekly", ""):
        changed = await callsheet.run("schedules", "change", "nightly", "--unique", key, "--json")
        job = changed.document()["job"]
        assert isinstance(job, dict)
        assert (job["params"], job["priority"], job["unique_key"]) == ({"path": "b"}, 9, key)
    paused = await callsheet.run("schedules", "pause", "nightly")
    assert " paused " in paused.out
    run = await callsheet.run("schedules", "run", "nightly")
    assert (run.code, (await rest.job(run.out.strip()))["params"]) == (0, {"path": "b"})
    listed = await callsheet.run("schedules", "list")
    assert run.out.strip() in listed.out
    assert (await callsheet.run("schedules", "resume", "nightly")).code == 0
    unknown = await callsheet.run("schedules", "remove", "weekly")
    assert (unknown.code, "no schedule 'weekly'" in unknown.err) == (1, True)
