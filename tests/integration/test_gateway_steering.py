"""One job is steered over REST, with a real scheduler and worker: paused, resumed, reprioritised, ended."""

from pathlib import Path

import pytest

from tests.support.rest import JOBS, OBJECT, OBJECTS, Rest
from tests.support.steered import Steered, Steps
from tests.support.workers import RunningWorker, running_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def rest(steered: Steered) -> Rest:
    return steered.rest


async def test_waiting_job_is_paused_and_resumed_as_documented(rest: Rest) -> None:
    job_id = await rest.create("scan")
    for _ in range(2):
        assert await rest.ask("POST", f"{JOBS}/{job_id}/pause") == {"id": job_id, "status": "paused"}
    details = await rest.job(job_id)
    assert (details["status"], details["waitingReason"]) == ("paused", "Paused: this job")
    assert await rest.ask("POST", f"{JOBS}/{job_id}/resume") == {"id": job_id, "status": "pending"}
    status, _, said = await rest.refused("POST", f"{JOBS}/{job_id}/resume")
    assert (status, said) == (409, "the job is pending; only a paused job can be resumed")
    await rest.ask("POST", f"{JOBS}/{job_id}/cancel")
    status, _, said = await rest.refused("POST", f"{JOBS}/{job_id}/pause")
    assert status == 409
    assert said.startswith("the job is cancelled already")


async def test_paused_job_is_cancelled_at_once(rest: Rest) -> None:
    job_id = await rest.create("scan")
    await rest.ask("POST", f"{JOBS}/{job_id}/pause")
    assert (await rest.ask("POST", f"{JOBS}/{job_id}/cancel"))["status"] == "cancelled"


async def test_running_job_is_paused_at_its_next_checkpoint_and_goes_on_from_it(
    rest: Rest, steered_worker: RunningWorker, steps: Steps
) -> None:
    job_id = await rest.create("steps")
    await rest.once(job_id, "running")
    asked = await rest.ask("POST", f"{JOBS}/{job_id}/pause", status=202)
    assert (asked["id"], asked["status"]) == (job_id, "running")
    assert set(asked) == {"id", "status", "pauseRequestedAt"}
    assert (await rest.job(job_id))["pauseRequestedAt"] == asked["pauseRequestedAt"]
    steps.go_on.set()
    paused = await rest.once(job_id, "paused")
    assert paused["pauseRequestedAt"] is None
    assert [attempt["outcome"] for attempt in OBJECTS.validate_python(paused["attempts"])] == ["paused"]
    steps.go_on.clear()
    resumed = await rest.ask("POST", f"{JOBS}/{job_id}/resume")
    assert (set(resumed), resumed["status"] in {"pending", "queued", "running"}) == ({"id", "status"}, True)
    steps.go_on.set()
    done = await rest.once(job_id, "completed")
    assert (done["result"], done["attempt"], done["retryCount"]) == ({"cameFrom": 1}, 2, 0)


async def test_pause_that_is_called_off_leaves_the_job_to_its_end(
    rest: Rest, steered_worker: RunningWorker, steps: Steps
) -> None:
    job_id = await rest.create("steps")
    await rest.once(job_id, "running")
    await rest.ask("POST", f"{JOBS}/{job_id}/pause", status=202)
    assert await rest.ask("POST", f"{JOBS}/{job_id}/resume") == {"id": job_id, "status": "running"}
    steps.go_on.set()
    assert (await rest.once(job_id, "completed"))["retryCount"] == 0


async def test_running_job_without_checkpoints_cannot_be_paused_and_goes_on(
    rest: Rest, steered_worker: RunningWorker
) -> None:
    job_id = await rest.create("patient")
    await rest.once(job_id, "running")
    status, _, said = await rest.refused("POST", f"{JOBS}/{job_id}/pause")
    assert status == 409
    assert "patient keeps no checkpoint" in said
    steered_worker.patient.go_on.set()
    await rest.once(job_id, "completed")


async def test_cancelled_running_job_tells_what_it_took(rest: Rest, steered_worker: RunningWorker) -> None:
    job_id = await rest.create("patient")
    await rest.once(job_id, "running")
    assert (await rest.job(job_id))["stopRung"] is None
    asked_at = (await rest.client.post(f"{JOBS}/{job_id}/cancel")).json()["cancelRequestedAt"]
    cancelled = await rest.once(job_id, "cancelled")
    assert cancelled["stopRung"] == "asked"
    assert cancelled["cancelRequestedAt"] == asked_at


async def test_reprioritised_job_goes_first(steered: Steered, steps: Steps, tmp_path: Path) -> None:
    rest = steered.rest
    async with running_worker(steered.scheduler.port, tmp_path, slots=1) as worker:
        await rest.known("noop")
        patient = await rest.create("patient")
        await rest.once(patient, "running")
        first, second = await rest.create("noop"), await rest.create("noop")
        assert (await rest.job(first))["waitingReason"] == "All 1 cpu slots are busy"
        changed = await rest.ask("PATCH", f"{JOBS}/{second}", {"priority": 1})
        assert (changed["id"], changed["priority"]) == (second, 1)
        assert int(str(changed["queuePosition"])) < int(str((await rest.job(first))["queuePosition"]))
        worker.patient.go_on.set()
        ended = [await rest.once(job_id, "completed") for job_id in (first, second)]
        assert str(ended[1]["startedAt"]) < str(ended[0]["startedAt"])
    assert (await rest.refused("PATCH", f"{JOBS}/{first}", {"priority": 1}))[0] == 409
    assert (await rest.refused("PATCH", f"{JOBS}/{first}", {"priority": 11}))[:2] == (422, "priority")
    assert (await rest.refused("PATCH", f"{JOBS}/{first}", {"status": "paused"}))[0] == 422


async def test_list_goes_from_either_end_by_cursor(rest: Rest) -> None:
    made = [await rest.create("scan", params={"path": "from-either-end"}) for _ in range(3)]

    for sort, wanted in (("createdAt", made), ("-createdAt", made[::-1])):
        seen: list[object] = []
        cursor = ""
        while len(seen) < len(made):
            path = f"{JOBS}?q=from-either-end&limit=2&sort={sort}&cursor={cursor}"
            page = await rest.ask("GET", path)
            seen += [job["id"] for job in OBJECTS.validate_python(page["data"])]
            cursor = str(OBJECT.validate_python(page["pagination"])["nextCursor"])
        assert seen == wanted
    status, field, _ = await rest.refused("GET", f"{JOBS}?sort=priority")
    assert (status, field) == (422, "sort")
