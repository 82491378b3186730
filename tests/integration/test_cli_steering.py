"""``callsheet jobs``, ``queues`` and ``fleet`` steer a real scheduler and a real worker."""

import asyncio
from pathlib import Path

import pytest

from callsheet.client import Client
from callsheet.v1.job_pb2 import NewJob
from tests.support.command_line import CommandLine, Ended
from tests.support.steered import Steered, Steps
from tests.support.workers import RunningWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def callsheet(steered: Steered, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, scheduler=steered.scheduler.address)


async def submitted(callsheet: CommandLine, *arguments: str) -> str:
    ended = await callsheet.run("jobs", "submit", *arguments)
    assert ended.code == 0, ended.err
    return ended.out.strip()


def told(ended: Ended) -> tuple[int, str]:
    return ended.code, ended.out


async def test_more_than_a_thousand_jobs_are_counted_and_paused_by_their_filter(
    callsheet: CommandLine, steered: Steered
) -> None:
    jobs = [NewJob(type="scan", params_json='{"path": "heap"}') for _ in range(1203)]
    async with Client(steered.scheduler.address) as client:
        await client.submit_many(jobs)

    paused = await callsheet.run("jobs", "pause", "--all-matching", "--query", "heap")
    assert told(paused) == (0, "1,203 jobs paused, or asked of their workers.\n")
    assert paused.err == "1,203 jobs match.\n"
    assert await steered.rest.count(q="heap", status="paused") == len(jobs)

    documents = await callsheet.run("jobs", "cancel", "--all-matching", "--query", "heap", "--json")
    assert documents.code == 0
    assert [one["done"] for one in documents.documents()] == [True] * len(jobs)
    assert await steered.rest.count(q="heap", status="cancelled") == len(jobs)
    again = await callsheet.run("jobs", "cancel", "--all-matching", "--query", "heap")
    assert (told(again), again.err) == ((0, "0 jobs cancelled.\n"), "0 jobs match.\n")


async def test_jobs_are_paused_resumed_and_reprioritised_by_their_ids(callsheet: CommandLine) -> None:
    first, second = await submitted(callsheet, "scan"), await submitted(callsheet, "scan")

    assert told(await callsheet.run("jobs", "pause", first, second)) == (
        0,
        "2 jobs paused, or asked of their workers.\n",
    )
    listed = await callsheet.run("jobs", "list", "--state", "paused")
    assert listed.out.count("Paused: this job") == 2
    assert (await callsheet.run("jobs", "resume", first)).out == "Resumed; it is pending.\n"
    partly = await callsheet.run("jobs", "resume", first, second)
    assert told(partly) == (4, "1 job resumed.\n")
    assert f"{first}: the job is pending; only a paused job can be resumed" in partly.err
    assert (await callsheet.run("jobs", "prioritize", first, "--to", "1")).out == "Its priority is 1.\n"
    assert (await callsheet.run("jobs", "show", first, "--json")).document()["priority"] == 1
    assert (await callsheet.run("jobs", "cancel", first, second)).code == 0


async def test_scope_is_paused_limited_and_shown_with_the_reasons(
    callsheet: CommandLine, steered: Steered, steered_worker: RunningWorker
) -> None:
    assert " paused " in (await callsheet.run("queues", "pause", "noop")).out
    held = await submitted(callsheet, "noop")
    assert "Paused: noop" in (await callsheet.run("jobs", "show", held)).out
    listed = (await callsheet.run("queues", "list")).out
    [row] = [line.split() for line in listed.splitlines() if line.startswith("noop ")]
    assert row[:6] == ["noop", "paused", "1", "0", "0", "0"]
    assert " ".join(row[6:10]) == "by callsheet queues pause,"

    limited = await callsheet.run("queues", "limit", "noop", "--fleet", "0", "--json")
    assert limited.document()["fleet_limit"] == 0
    assert (await callsheet.run("queues", "resume", "noop")).code == 0
    reason = "The limit of 0 noop jobs in the whole fleet is reached"
    assert (await callsheet.run("jobs", "show", held, "--json")).document()["waiting_reason"] == reason
    assert (await callsheet.run("queues", "limit", "noop", "--fleet", "none")).code == 0
    await steered.rest.once(held, "completed")
    unknown = await callsheet.run("queues", "pause", "tpu")
    assert unknown.code == 1
    assert "there are all, cpu, gpu_encode" in unknown.err


async def test_drain_waits_for_the_jobs_of_the_worker(
    callsheet: CommandLine, steered: Steered, steered_worker: RunningWorker
) -> None:
    job_id = await submitted(callsheet, "patient")
    await steered.rest.once(job_id, "running")
    [name] = [str(one["id"]) for one in await steered.rest.workers() if one["connected"]]
    assert told(await callsheet.run("fleet", "drain", name)) == (0, "Drains; it still holds 1 job.\n")

    waiting = await callsheet.start("fleet", "drain", name, "--wait")
    assert waiting.stderr is not None
    assert b"1 job left" in await asyncio.wait_for(waiting.stderr.readline(), 30)
    assert "connected, draining" in (await callsheet.run("fleet", "list")).out
    steered_worker.patient.go_on.set()
    out, _ = await asyncio.wait_for(waiting.communicate(), 30)
    assert (waiting.returncode, out) == (0, b"Drained; it holds no job.\n")

    held = await submitted(callsheet, "noop")
    assert "Every worker that handles noop is drained" in (await callsheet.run("jobs", "list")).out
    assert told(await callsheet.run("fleet", "resume", name)) == (0, "It takes jobs again.\n")
    await steered.rest.once(held, "completed")
    assert (await callsheet.run("fleet", "drain", "nobody")).code == 1


async def test_running_job_is_asked_to_pause_and_ended_by_asking(
    callsheet: CommandLine, steered: Steered, steered_worker: RunningWorker, steps: Steps
) -> None:
    job_id = await submitted(callsheet, "steps")
    await steered.rest.once(job_id, "running")
    asked = await callsheet.run("jobs", "pause", job_id)
    assert told(asked) == (0, "Asked to pause; it is paused when its worker confirms.\n")
    assert "Asked to pause" in (await callsheet.run("jobs", "list", "--type", "steps")).out
    assert (await callsheet.run("jobs", "cancel", job_id)).code == 0
    await steered.rest.once(job_id, "cancelled")
    shown = (await callsheet.run("jobs", "show", job_id)).out
    assert "ended by" in shown
    assert "asking" in shown
    refused = await callsheet.run("jobs", "pause", job_id)
    assert refused.code == 4
    assert "cancelled already" in refused.err


async def test_what_was_said_is_in_force_after_the_death_of_the_scheduler(
    callsheet: CommandLine, steered: Steered, steered_worker: RunningWorker
) -> None:
    held = await submitted(callsheet, "scan")
    await callsheet.run("jobs", "pause", held)
    await callsheet.run("queues", "pause", "gpu_ai")
    await callsheet.run("queues", "limit", "noop", "--host", "3")

    await steered.scheduler.kill()
    await steered.scheduler.start()
    await steered.rest.until("/api/queues", lambda _: True)

    assert (await callsheet.run("jobs", "show", held, "--json")).document()["state"] == "paused"
    queues = {str(one["scope"]): one for one in (await callsheet.run("queues", "list", "--json")).documents()}
    assert (queues["gpu_ai"]["paused"], queues["gpu_ai"]["paused_by"]) == (True, "callsheet queues pause")
    assert (queues["noop"]["host_limit"], queues["cpu"]["paused"]) == (3, False)
    assert (await callsheet.run("jobs", "cancel", held)).code == 0
