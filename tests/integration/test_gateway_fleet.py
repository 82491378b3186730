"""Scopes of the queue and workers are steered over REST; what was decided outlives the scheduler."""

from pathlib import Path

import pytest

from tests.support.processes import until
from tests.support.rest import JOBS, OBJECTS, Json, Rest
from tests.support.steered import Steered, Steps
from tests.support.workers import RunningWorker, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def rest(steered: Steered) -> Rest:
    return steered.rest


@pytest.mark.parametrize("scope", ["all", "cpu", "noop"])
async def test_paused_scope_gives_no_new_lease_and_interrupts_nothing(
    rest: Rest, steered_worker: RunningWorker, scope: str
) -> None:
    running = await rest.create("patient")
    await rest.once(running, "running")
    paused = await rest.ask("POST", f"/api/queues/{scope}/pause")
    assert (paused["scope"], paused["paused"], paused["pausedBy"]) == (scope, True, "admin")
    assert str(paused["pausedAt"]).endswith("Z")
    waiting = [await rest.create("noop") for _ in range(3)]
    steered_worker.patient.go_on.set()
    assert (await rest.once(running, "completed"))["attempt"] == 1
    for job_id in waiting:
        job = await rest.job(job_id)
        reason = f"Paused: {'everything' if scope == 'all' else scope}"
        assert (job["status"], job["attempt"], job["waitingReason"]) == ("pending", 0, reason)
    assert (await rest.queue("noop"))["pending"] == 3
    resumed = await rest.ask("POST", f"/api/queues/{scope}/resume")
    assert (resumed["paused"], resumed["pausedAt"], resumed["pausedBy"]) == (False, None, None)
    for job_id in waiting:
        assert (await rest.once(job_id, "completed"))["attempt"] == 1


async def test_limits_that_change_while_jobs_run_hold_at_once(
    rest: Rest, steered_worker: RunningWorker
) -> None:
    async def limit(**limits: int | None) -> Json:
        return await rest.ask("PATCH", "/api/queues", {"scope": "patient", **limits})

    async def running() -> int:
        return int(str((await rest.queue("patient"))["running"]))

    limited = await limit(fleetLimit=1)
    assert (limited["fleetLimit"], limited["hostLimit"]) == (1, None)
    jobs = [await rest.create("patient") for _ in range(4)]
    await rest.once(jobs[0], "running")
    reason = "The limit of 1 patient jobs in the whole fleet is reached"
    assert [(await rest.job(job_id))["waitingReason"] for job_id in jobs[1:]] == [reason] * 3

    limited = await limit(hostLimit=2, fleetLimit=None)
    assert (limited["fleetLimit"], limited["hostLimit"]) == (None, 2)
    await rest.once(jobs[1], "running")
    reason = "The limit of 2 patient jobs per host is reached on atlas"
    assert [(await rest.job(job_id))["waitingReason"] for job_id in jobs[2:]] == [reason] * 2

    await limit(hostLimit=0)
    await rest.create("noop")
    assert (await running(), steered_worker.patient.begun, steered_worker.patient.cancelled) == (2, 2, 0)
    await limit(hostLimit=None)
    await rest.once(jobs[2], "running")
    assert (await rest.job(jobs[3]))["waitingReason"] == "All 3 cpu slots are busy"
    steered_worker.patient.go_on.set()
    for job_id in jobs:
        assert (await rest.once(job_id, "completed"))["attempt"] == 1


async def test_every_scope_is_listed_with_its_defaults(rest: Rest, steered_worker: RunningWorker) -> None:
    scopes = OBJECTS.validate_python((await rest.ask("GET", "/api/queues"))["data"])
    assert [queue["scope"] for queue in scopes[:4]] == ["all", "cpu", "gpu_encode", "gpu_ai"]
    assert [queue["hostLimit"] for queue in scopes[:4]] == [None, 5, 2, 1]
    types = [str(queue["scope"]) for queue in scopes[4:]]
    assert {"noop", "scan", "steps"} <= set(types)
    assert types == sorted(types)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "cpu", "hostLimit": -1}, "hostLimit"),
        ({"scope": "cpu", "fleetLimit": 1_000_001}, "fleetLimit"),
        ({"hostLimit": 1}, "scope"),
        ({"scope": "cpu", "limit": 1}, "limit"),
    ],
    ids=str,
)
async def test_wrong_limit_is_refused_and_named(rest: Rest, body: Json, field: str) -> None:
    assert (await rest.refused("PATCH", "/api/queues", body))[:2] == (422, field)


async def test_unknown_scope_and_worker_are_not_found(rest: Rest) -> None:
    for path in ("/api/queues/tpu/pause", "/api/queues/%00/resume", "/api/workers/nobody/drain"):
        assert (await rest.refused("POST", path))[0] == 404
    assert (await rest.refused("POST", "/api/workers/nobody/resume"))[0] == 404
    status, _, said = await rest.refused("PATCH", "/api/queues", {"scope": "tpu", "hostLimit": 1})
    assert status == 404
    assert "there are all, cpu, gpu_encode, gpu_ai" in said


async def this_worker(rest: Rest) -> str:
    [worker] = [str(one["id"]) for one in await rest.workers() if one["connected"]]
    return worker


async def test_drained_worker_gets_nothing_finishes_what_it_has_and_resumes(
    rest: Rest, steered_worker: RunningWorker
) -> None:
    running = await rest.create("patient")
    await rest.once(running, "running")
    name = await this_worker(rest)
    drained = await rest.ask("POST", f"/api/workers/{name}/drain")
    assert (drained["id"], drained["draining"], drained["leases"]) == (name, True, 1)
    waiting = await rest.create("noop")
    assert (await rest.job(waiting))["waitingReason"] == "Every worker that handles noop is drained"
    steered_worker.patient.go_on.set()
    assert (await rest.once(running, "completed"))["attempt"] == 1
    assert (await rest.job(waiting))["status"] == "pending"
    resumed = await rest.ask("POST", f"/api/workers/{name}/resume")
    assert (resumed["draining"], resumed["connected"]) == (False, True)
    assert (await rest.once(waiting, "completed"))["attempt"] == 1


async def test_drain_with_a_grace_has_jobs_handed_back(rest: Rest, steered_worker: RunningWorker) -> None:
    job_id = await rest.create("patient")
    await rest.once(job_id, "running")
    name = await this_worker(rest)
    assert (await rest.refused("POST", f"/api/workers/{name}/drain", {"graceS": -1}))[:2] == (422, "graceS")
    await rest.ask("POST", f"/api/workers/{name}/drain", {"graceS": 0})
    job = await rest.once(job_id, "pending")
    assert [one["outcome"] for one in OBJECTS.validate_python(job["attempts"])] == ["returned"]
    assert job["retryCount"] == 0
    steered_worker.patient.go_on.set()
    await rest.ask("POST", f"/api/workers/{name}/resume")
    assert (await rest.once(job_id, "completed"))["attempt"] == 2


async def test_worker_that_is_drained_and_gone_is_listed_until_it_is_resumed(
    steered: Steered, tmp_path: Path
) -> None:
    rest = steered.rest
    async with running_worker(steered.scheduler.port, tmp_path):
        await rest.known("noop")
        name = await this_worker(rest)
        await rest.ask("POST", f"/api/workers/{name}/drain")
    await rest.until("/api/workers", lambda fleet: "'connected': True" not in str(fleet))
    [left] = [one for one in await rest.workers() if one["id"] == name]
    assert (left["connected"], left["draining"], left["lastHeartbeatAt"]) == (False, True, None)
    resumed = await rest.ask("POST", f"/api/workers/{name}/resume")
    assert (resumed["id"], resumed["draining"]) == (name, False)
    assert name not in {one["id"] for one in await rest.workers()}


async def test_what_people_decided_outlives_the_scheduler(
    steered: Steered, steered_worker: RunningWorker, steps: Steps
) -> None:
    rest = steered.rest
    running, stepping = await rest.create("patient"), await rest.create("steps")
    for job_id in (running, stepping):
        await rest.once(job_id, "running")
    name = await this_worker(rest)
    held, urgent = await rest.create("scan"), await rest.create("scan")
    await rest.ask("POST", f"{JOBS}/{held}/pause")
    await rest.ask("PATCH", f"{JOBS}/{urgent}", {"priority": 1})
    await rest.ask("POST", f"{JOBS}/{stepping}/pause", status=202)
    await rest.ask("POST", "/api/queues/noop/pause")
    await rest.ask("PATCH", "/api/queues", {"scope": "cpu", "hostLimit": 7})
    await rest.ask("PATCH", "/api/queues", {"scope": "patient", "fleetLimit": 1})
    await rest.ask("POST", f"/api/workers/{name}/drain")

    await steered.scheduler.kill()
    await steered.scheduler.start()
    await rest.until("/api/workers", lambda fleet: "'connected': True" in str(fleet))

    assert (await rest.job(held))["waitingReason"] == "Paused: this job"
    assert (await rest.job(urgent))["priority"] == 1
    assert (await rest.job(stepping))["pauseRequestedAt"] is not None
    assert ((await rest.queue("noop"))["paused"], (await rest.queue("noop"))["pausedBy"]) == (True, "admin")
    assert (await rest.queue("cpu"))["hostLimit"] == 7
    [same] = [one for one in await rest.workers() if one["id"] == name]
    assert (same["draining"], same["leases"]) == (True, 2)

    steps.go_on.set()
    await rest.once(stepping, "paused")
    waiting, another = await rest.create("noop"), await rest.create("patient")
    await rest.ask("POST", f"/api/workers/{name}/resume")
    assert (await rest.job(waiting))["waitingReason"] == "Paused: noop"
    reason = "The limit of 1 patient jobs in the whole fleet is reached"
    assert (await rest.job(another))["waitingReason"] == reason
    steered_worker.patient.go_on.set()
    await rest.ask("POST", "/api/queues/noop/resume")
    for job_id in (running, another, waiting):
        assert (await rest.once(job_id, "completed"))["attempt"] == 1
    await until(lambda: steered_worker.patient.begun == 2)
    await rest.ask("POST", f"{JOBS}/{stepping}/resume")
    assert (await rest.once(stepping, "completed"))["result"] == {"cameFrom": 1}
