"""Commands that steer, against services whose answers are written down: what is asked, said and returned."""

import os
import pty
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet import errors
from callsheet.v1.fleet_service_pb2 import (
    Allocation,
    DeviceAccount,
    DeviceState,
    DrainWorkerRequest,
    DrainWorkerResponse,
    LimitQueueRequest,
    LimitQueueResponse,
    ListDevicesResponse,
    ListQueuesResponse,
    ListWorkersResponse,
    PauseQueueRequest,
    PauseQueueResponse,
    Queue,
    ResumeQueueRequest,
    ResumeQueueResponse,
    ResumeWorkerRequest,
    ResumeWorkerResponse,
    Worker,
)
from callsheet.v1.job_pb2 import Job, JobState, ResourceCategory
from callsheet.v1.job_service_pb2 import (
    ActOnJobsRequest,
    ActOnJobsResponse,
    CancelJobResponse,
    JobAction,
    ListJobsRequest,
    ListJobsResponse,
    PauseJobResponse,
    PrioritizeJobRequest,
    PrioritizeJobResponse,
    RefusedAction,
    ResumeJobResponse,
)
from callsheet.v1.lease_service_pb2 import Device
from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"
PENDING = JobState.JOB_STATE_PENDING
RUNNING = JobState.JOB_STATE_RUNNING
PAUSED = JobState.JOB_STATE_PAUSED


def stamp(at: int) -> Timestamp:
    return Timestamp(seconds=at)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Job(id=ID, state=PAUSED), "Paused.\n"),
        (
            Job(id=ID, state=RUNNING, pause_requested_at=stamp(1)),
            "Asked to pause; it is paused when its worker",
        ),
    ],
    ids=["waiting", "running"],
)
async def test_pausing_one_job_says_whether_it_is_so_already(
    script: Script, callsheet: CommandLine, job: Job, said: str
) -> None:
    script.will("PauseJob", PauseJobResponse(job=job))

    ended = await callsheet.run("jobs", "pause", ID)
    document = (await callsheet.run("jobs", "pause", ID, "--json")).document()

    assert (ended.code, ended.out[: len(said)], ended.err) == (0, said, "")
    assert (document["id"], document["state"]) == (ID, JobState.Name(job.state)[10:].lower())


async def test_resumed_and_reprioritised_job_is_told_as_it_is(script: Script, callsheet: CommandLine) -> None:
    script.will("ResumeJob", ResumeJobResponse(job=Job(id=ID, state=PENDING)))
    script.will("PrioritizeJob", PrioritizeJobResponse(job=Job(id=ID, state=PENDING, priority=2)))

    assert (await callsheet.run("jobs", "resume", ID)).out == "Resumed; it is pending.\n"
    assert (await callsheet.run("jobs", "prioritize", ID, "--to", "2")).out == "Its priority is 2.\n"
    assert script.asked["PrioritizeJob"] == [PrioritizeJobRequest(id=ID, priority=2)]


async def test_several_jobs_are_one_call_and_what_is_refused_has_its_code(
    script: Script, callsheet: CommandLine
) -> None:
    reason = "the job is completed already"
    answer = ActOnJobsResponse(done_ids=[ID], refused=[RefusedAction(id=OTHER, reason=reason)])
    script.will("ActOnJobs", answer)

    ended = await callsheet.run("jobs", "cancel", ID, OTHER)
    documents = (await callsheet.run("jobs", "cancel", ID, OTHER, "--json")).documents()

    asked = script.asked["ActOnJobs"][0]
    assert isinstance(asked, ActOnJobsRequest)
    assert (asked.action, list(asked.ids)) == (JobAction.JOB_ACTION_CANCEL, [ID, OTHER])
    assert not asked.HasField("filter")
    assert (ended.code, ended.out) == (4, "1 job cancelled, or asked of their workers.\n")
    assert ended.err == f"Not possible for 1:\n  {OTHER}: {reason}\n"
    assert documents == [
        {"id": ID, "done": True, "reason": None},
        {"id": OTHER, "done": False, "reason": reason},
    ]


async def test_all_that_match_are_counted_first_and_acted_on_to_the_last_page(
    script: Script, callsheet: CommandLine
) -> None:
    script.will("ListJobs", ListJobsResponse(total=1500, total_is_exact=True))
    first = ActOnJobsResponse(done_ids=[ID] * 1000, next_page_token="more")
    script.will("ActOnJobs", first, ActOnJobsResponse(done_ids=[ID] * 500))
    filters = ("--type", "scan", "--category", "cpu", "--query", "x", "--parent", OTHER)

    ended = await callsheet.run("jobs", "prioritize", "--to", "9", "--all-matching", *filters)

    states = [PENDING, JobState.JOB_STATE_QUEUED, RUNNING, PAUSED]
    chosen = ListJobsRequest(
        states=states,
        types=["scan"],
        categories=[ResourceCategory.RESOURCE_CATEGORY_CPU],
        query="x",
        parent_id=OTHER,
    )
    counted = ListJobsRequest(page_size=1)
    counted.MergeFrom(chosen)
    assert script.asked["ListJobs"] == [counted]
    pages = [call.page_token for call in script.asked["ActOnJobs"] if isinstance(call, ActOnJobsRequest)]
    filters_asked = [call.filter for call in script.asked["ActOnJobs"] if isinstance(call, ActOnJobsRequest)]
    assert (pages, filters_asked) == (["", "more"], [chosen, chosen])
    assert (ended.code, ended.out) == (0, "1,500 jobs given the new priority.\n")
    assert ended.err == "1,500 jobs match.\n"


async def test_states_that_are_named_stay_those(script: Script, callsheet: CommandLine) -> None:
    script.will("ListJobs", ListJobsResponse(total=10_000))
    script.will("ActOnJobs", ActOnJobsResponse())

    ended = await callsheet.run("jobs", "retry", "--all-matching", "--state", "failed")

    asked = script.asked["ActOnJobs"][0]
    assert isinstance(asked, ActOnJobsRequest)
    assert list(asked.filter.states) == [JobState.JOB_STATE_FAILED]
    assert asked.requested_by == "callsheet jobs retry"
    assert ended.err == "more than 10,000 jobs match.\n"
    assert ended.out == "0 jobs put back into the queue.\n"


async def test_on_a_terminal_it_asks_before_it_acts_on_all(
    script: Script, callsheet: CommandLine, tmp_path: Path
) -> None:
    script.will("ListJobs", ListJobsResponse(total=7, total_is_exact=True))
    script.will("ActOnJobs", ActOnJobsResponse(done_ids=[ID]))
    answers = {b"n\n": (130, 0), b"y\n": (0, 1)}
    for typed, (code, calls) in answers.items():
        ours, its = pty.openpty()
        os.write(ours, typed)
        process = await create_subprocess_exec(
            *(sys.executable, "-m", "callsheet.cli.app", "jobs", "cancel", "--all-matching"),
            env=callsheet.environment,
            cwd=tmp_path,
            stdin=its,
            stdout=PIPE,
            stderr=PIPE,
        )
        _, said = await process.communicate()
        os.close(ours)
        os.close(its)
        assert b"7 jobs match. Cancel them?" in said
        assert (process.returncode, len(script.asked["ActOnJobs"])) == (code, calls)


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("pause", ID, "--all-matching"),
        ("pause", ID, "--type", "scan"),
        ("pause", "--type", "scan"),
        ("prioritize", ID),
        ("prioritize", ID, "--to", "11"),
    ],
    ids=" ".join,
)
async def test_jobs_are_chosen_in_one_way_only(
    script: Script, callsheet: CommandLine, arguments: tuple[str, ...]
) -> None:
    assert (await callsheet.run("jobs", *arguments)).code == 2
    assert script.asked == {}


async def test_job_that_cannot_be_paused_says_why(script: Script, callsheet: CommandLine) -> None:
    script.will("PauseJob", errors.StateError("the job is running, and scan keeps no checkpoint"))

    ended = await callsheet.run("jobs", "pause", ID)

    assert (ended.code, ended.err) == (4, "Error: the job is running, and scan keeps no checkpoint\n")


async def test_scopes_are_listed_and_those_without_jobs_on_request(
    script: Script, callsheet: CommandLine
) -> None:
    script.will(
        "ListQueues",
        ListQueuesResponse(
            queues=[
                Queue(scope="all", pending=12, running=2),
                Queue(scope="cpu", paused=True, paused_at=stamp(1), paused_by="ann", host_limit=5),
                Queue(scope="scan", fleet_limit=0),
                Queue(scope="validate"),
            ]
        ),
    )

    table = await callsheet.run("queues", "list")
    every = await callsheet.run("queues", "list", "--every")
    documents = (await callsheet.run("queues", "list", "--json")).documents()

    rows = [line.split() for line in table.out.splitlines()]
    assert rows[1] == ["all", "open", "12", "0", "2", "0"]
    assert rows[2][:8] == ["cpu", "paused", "5", "0", "0", "0", "0", "by"]
    assert rows[3] == ["scan", "open", "0", "0", "0", "0", "0"]
    assert len(rows) == 4
    assert every.out.splitlines()[4].startswith("validate")
    assert [one["scope"] for one in documents] == ["all", "cpu", "scan", "validate"]
    assert (documents[0]["host_limit"], documents[2]["fleet_limit"]) == (None, 0)


async def test_scope_is_paused_resumed_and_limited(script: Script, callsheet: CommandLine) -> None:
    script.will("PauseQueue", PauseQueueResponse(queue=Queue(scope="cpu", paused=True, paused_at=stamp(1))))
    script.will("ResumeQueue", ResumeQueueResponse(queue=Queue(scope="cpu")))
    script.will("LimitQueue", LimitQueueResponse(queue=Queue(scope="cpu", host_limit=3)))

    assert " paused " in (await callsheet.run("queues", "pause", "cpu")).out
    assert " open " in (await callsheet.run("queues", "resume", "cpu")).out
    limited = await callsheet.run("queues", "limit", "cpu", "--host", "3", "--fleet", "none", "--json")

    assert script.asked["PauseQueue"] == [
        PauseQueueRequest(scope="cpu", requested_by="callsheet queues pause")
    ]
    assert script.asked["ResumeQueue"] == [ResumeQueueRequest(scope="cpu")]
    assert script.asked["LimitQueue"] == [
        LimitQueueRequest(scope="cpu", host_limit=3, clear_fleet_limit=True)
    ]
    assert limited.document()["host_limit"] == 3


@pytest.mark.parametrize("limits", [(), ("--host", "many"), ("--fleet", "-1"), ("--host", "٣")], ids=" ".join)
async def test_limit_that_is_none_is_refused(
    script: Script, callsheet: CommandLine, limits: tuple[str, ...]
) -> None:
    assert (await callsheet.run("queues", "limit", "cpu", *limits)).code == 2
    assert script.asked == {}


def worker(*lacks: str, **changes: object) -> Worker:
    made = Worker(id="w1", host="atlas", connected=True, slots=4, types=["scan"], roots=["library"])
    made.sandbox.extend(["rlimits", "landlock 7"])
    made.sandbox_lacks.extend(lacks)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


async def test_workers_are_listed(script: Script, callsheet: CommandLine) -> None:
    workers = [
        worker(leases=2),
        worker("landlock", "seccomp", id="w2", draining=True),
        worker(id="w3", draining=True, leases=1),
        worker(id="w4", connected=False, leaving=True),
    ]
    script.will("ListWorkers", ListWorkersResponse(workers=workers))

    table = await callsheet.run("fleet", "list")
    documents = (await callsheet.run("fleet", "list", "--json")).documents()

    rows = table.out.splitlines()[1:]
    assert rows[0].split() == ["w1", "atlas", "connected", "2", "of", "4", "0.00", "whole", "library", "scan"]
    assert "  without landlock, seccomp  " in rows[1]
    for row, state in zip(
        rows[1:], ("connected, drained", "connected, draining", "away, leaving"), strict=True
    ):
        assert f"  {state}  " in row
    assert [one["draining"] for one in documents] == [False, True, True, False]
    assert documents[0]["roots"] == ["library"]


def account(**changes: object) -> DeviceAccount:
    """Return the account of a card of which a job has a half."""
    made = DeviceAccount(
        device=Device(uuid="GPU-1", index=0, name="A4000", encoder_sessions_max=8),
        host="atlas",
        state=DeviceState.DEVICE_STATE_OK,
        capacity_mib=16_000,
        margin_mib=400,
        allocated_mib=8_000,
        observed_mib=7_000,
        foreign_mib=2_000,
        free_mib=5_600,
        encoder_sessions=1,
        utilization_percent=87,
        read_at=stamp(1),
        allocations=[Allocation(vram_mib=8_000)],
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


async def test_ledger_is_a_table_with_bars(script: Script, callsheet: CommandLine) -> None:
    blind = account(state=DeviceState.DEVICE_STATE_VANISHED, problem="it fell off the bus", free_mib=0)
    blind.ClearField("read_at")
    blind.allocations[0].lingering = True
    script.will("ListDevices", ListDevicesResponse(devices=[account(), blind]))

    table = await callsheet.run("gpus")
    documents = (await callsheet.run("gpus", "--json")).documents()

    [good, bad] = table.out.splitlines()[1:]
    bar = "############xxx........-"
    assert good.split() == (f"atlas 0 A4000 ok {bar} 5600 8000 7000 2000 16000 1 of 8 87 % 1".split())
    assert "vanished" in bad
    assert bad.endswith("it fell off the bus; 1 of lost workers")
    assert [one["allocated_mib"] for one in documents] == [8_000, 8_000]


async def test_no_gpu_is_said(script: Script, callsheet: CommandLine) -> None:
    script.will("ListDevices", ListDevicesResponse())
    assert (await callsheet.run("gpus")).err == "No GPUs.\n"


async def test_worker_is_drained_and_resumed(script: Script, callsheet: CommandLine) -> None:
    script.will("DrainWorker", DrainWorkerResponse(worker=worker(draining=True, leases=2)))
    script.will("ResumeWorker", ResumeWorkerResponse(worker=worker()))

    drained = await callsheet.run("fleet", "drain", "w1", "--grace", "90")
    resumed = await callsheet.run("fleet", "resume", "w1")

    assert script.asked["DrainWorker"] == [
        DrainWorkerRequest(id="w1", grace=Duration(seconds=90), requested_by="callsheet fleet drain")
    ]
    assert script.asked["ResumeWorker"] == [ResumeWorkerRequest(id="w1")]
    assert drained.out == "Drains; it still holds 2 jobs.\n"
    assert resumed.out == "It takes jobs again.\n"


async def test_drain_waits_until_the_worker_holds_no_job(script: Script, callsheet: CommandLine) -> None:
    script.will("DrainWorker", DrainWorkerResponse(worker=worker(draining=True, leases=2)))
    script.will(
        "ListWorkers",
        ListWorkersResponse(workers=[worker(id="w0", leases=9), worker(draining=True, leases=1)]),
        errors.UnavailableError("no scheduler leads"),
        ListWorkersResponse(workers=[worker(draining=True)]),
    )

    ended = await callsheet.run("fleet", "drain", "w1", "--wait")

    assert (ended.code, ended.out) == (0, "Drained; it holds no job.\n")
    assert "Drain w1: 0 %, 2 jobs left" in ended.err
    assert len(script.asked["ListWorkers"]) == 3


async def test_cancelling_one_job_is_not_a_bulk_action(script: Script, callsheet: CommandLine) -> None:
    script.will("CancelJob", CancelJobResponse(job=Job(id=ID, state=JobState.JOB_STATE_CANCELLED)))

    assert (await callsheet.run("jobs", "cancel", ID)).out == "Cancelled.\n"
    assert set(script.asked) == {"CancelJob"}
