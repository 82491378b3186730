"""The client repeats what got no answer, and only that; a lost stream goes on where it was."""

import asyncio
from itertools import pairwise

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.channel import open_channel
from callsheet.client import Client, Patience
from callsheet.client.repeating import Repeating
from callsheet.errors import (
    CallsheetError,
    ConflictError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnavailableError,
)
from callsheet.ids import check_id
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import (
    CancelJobResponse,
    GetJobResponse,
    GetStatsResponse,
    ListJobsRequest,
    ListJobsResponse,
    ReadLogResponse,
    RetryJobResponse,
    SubmitJobsRequest,
    SubmitJobsResponse,
    SubmittedJob,
    WatchJobsRequest,
    WatchJobsResponse,
)
from callsheet.v1.job_service_pb2_grpc import JobServiceStub
from callsheet.v1.library_service_pb2 import GetItemsRequest, GetItemsResponse, Item
from tests.support.scripted_services import AWAY, QUICK, Script, serving

RUNNING = JobState.JOB_STATE_RUNNING
COMPLETED = JobState.JOB_STATE_COMPLETED


async def no_word() -> None:
    """Say nothing more until the caller leaves."""
    await asyncio.Event().wait()


async def test_a_call_without_answer_is_repeated(script: Script, client: Client) -> None:
    script.will("GetStats", AWAY, AWAY, GetStatsResponse(completed_last_hour=7))

    assert (await client.stats()).completed_last_hour == 7
    assert len(script.asked["GetStats"]) == 3


@pytest.mark.parametrize(
    "refusal",
    [NotFoundError("none"), StateError("no"), ConflictError("taken"), OverloadedError("full"), KeyError("x")],
)
async def test_a_refusal_is_not_repeated(script: Script, client: Client, refusal: Exception) -> None:
    script.will("GetStats", refusal)

    wanted = type(refusal) if isinstance(refusal, CallsheetError) else CallsheetError
    with pytest.raises(wanted):
        await client.stats()
    assert len(script.asked["GetStats"]) == 1


async def test_the_error_at_the_end_of_patience_names_the_scheduler(script: Script) -> None:
    script.will("GetStats", AWAY)
    async with serving(script) as address, Client(address, patience=Patience(total_s=4.0)) as client:
        with pytest.raises(UnavailableError, match=f"scheduler at {address}: no scheduler leads"):
            await client.stats()
    assert len(script.asked["GetStats"]) > 1


async def test_without_patience_a_call_is_tried_once(script: Script, client: Client) -> None:
    script.will("GetStats", AWAY)

    with pytest.raises(UnavailableError):
        await client.with_patience(Patience(total_s=0)).stats()
    assert len(script.asked["GetStats"]) == 1


async def test_a_scheduler_that_starts_meanwhile_is_found(script: Script) -> None:
    script.will("GetStats", GetStatsResponse(completed_last_hour=7))
    async with serving(script) as address:
        port = int(address.rpartition(":")[2])
    async with Client(address, patience=QUICK) as client:
        waiting = asyncio.create_task(client.stats())
        async with serving(script, port=port):
            assert (await waiting).completed_last_hour == 7


async def test_a_repeated_call_reaches_the_leader_among_several(script: Script) -> None:
    standby = Script()
    standby.will("GetStats", AWAY)
    script.will("GetStats", GetStatsResponse())
    async with (
        serving(standby) as first,
        serving(script) as second,
        Client(f"{first},{second}", patience=QUICK) as client,
    ):
        for _ in range(6):
            await client.stats()

    assert len(script.asked["GetStats"]) == 6


async def test_a_repeated_submission_bears_the_same_ids(script: Script, client: Client) -> None:
    answer = SubmitJobsResponse(jobs=[SubmittedJob(id="a", existed=True), SubmittedJob(id="b", existed=True)])
    script.will("SubmitJobs", AWAY, answer)
    given_id = "01890a5d-ac96-774b-bcce-b302099a8057"

    submitted = await client.submit_many([NewJob(type="scan"), NewJob(type="scan", id=given_id)])

    first, second = script.asked["SubmitJobs"]
    assert first == second
    assert isinstance(first, SubmitJobsRequest)
    assert check_id(first.jobs[0].id, "id") != given_id
    assert first.jobs[1].id == given_id
    assert [job.existed for job in submitted] == [False, True]


@given(st.lists(st.integers(0, 700_000), min_size=1, max_size=30))
async def test_submissions_stay_within_the_limits_and_in_order(sizes: list[int]) -> None:
    script = Script()
    jobs = [NewJob(type="scan", params_json="x" * size, priority=1 + n % 10) for n, size in enumerate(sizes)]
    script.will("SubmitJobs", *_answers(jobs))
    async with serving(script) as address, Client(address, patience=QUICK) as client:
        submitted = await client.submit_many(jobs)

    asked = [request for request in script.asked["SubmitJobs"] if isinstance(request, SubmitJobsRequest)]
    assert [job.params_json for request in asked for job in request.jobs] == [job.params_json for job in jobs]
    assert all(request.ByteSize() < 4 * 1024 * 1024 for request in asked)
    assert len(submitted) == len(jobs)


def _answers(jobs: list[NewJob]) -> list[SubmitJobsResponse]:
    """Return one answer for each request that a client of the stated limits makes."""
    answers: list[SubmitJobsResponse] = []
    left = 0
    for job in jobs:
        size = job.ByteSize() + 64
        if not answers or size > left:
            answers.append(SubmitJobsResponse())
            left = 3 * 1024 * 1024
        answers[-1].jobs.append(SubmittedJob(id="x"))
        left -= size
    return answers


async def test_more_than_a_thousand_jobs_are_several_submissions(script: Script, client: Client) -> None:
    script.will(
        "SubmitJobs",
        SubmitJobsResponse(jobs=[SubmittedJob()] * 1000),
        SubmitJobsResponse(jobs=[SubmittedJob()] * 1),
    )

    submitted = await client.submit_many([NewJob(type="scan")] * 1001)

    sizes = [len(r.jobs) for r in script.asked["SubmitJobs"] if isinstance(r, SubmitJobsRequest)]
    assert sizes == [1000, 1]
    assert len(submitted) == 1001


async def test_a_cancellation_whose_answer_was_lost_is_no_error(script: Script, client: Client) -> None:
    script.will("CancelJob", AWAY, StateError("the job is cancelled already"))
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=JobState.JOB_STATE_CANCELLED)))

    assert (await client.cancel("a")).state == JobState.JOB_STATE_CANCELLED


async def test_a_job_that_completed_meanwhile_is_not_said_to_be_cancelled(
    script: Script, client: Client
) -> None:
    script.will("CancelJob", AWAY, StateError("the job is completed already"))
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=COMPLETED)))

    with pytest.raises(StateError):
        await client.cancel("a")


async def test_a_cancellation_that_was_refused_at_once_stays_refused(script: Script, client: Client) -> None:
    script.will("CancelJob", StateError("the job is cancelled already"))

    with pytest.raises(StateError):
        await client.cancel("a")
    assert script.asked["GetJob"] == []


async def test_a_manual_retry_whose_answer_was_lost_is_no_error(script: Script, client: Client) -> None:
    script.will("RetryJob", AWAY, StateError("the job is running"))
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=RUNNING)))

    assert (await client.retry("a")).state == RUNNING


async def test_answers_are_what_the_service_says(script: Script, client: Client) -> None:
    script.will("CancelJob", CancelJobResponse(job=Job(id="a", state=RUNNING)))
    script.will("RetryJob", RetryJobResponse(job=Job(id="b")))

    assert (await client.cancel("a", requested_by="me")).id == "a"
    assert (await client.retry("b")).id == "b"


async def test_all_pages_of_a_list_are_read(script: Script, client: Client) -> None:
    script.will(
        "ListJobs",
        ListJobsResponse(jobs=[Job(id="c"), Job(id="b")], next_page_token="more"),
        ListJobsResponse(jobs=[Job(id="a")]),
    )
    wanted = ListJobsRequest(types=["scan"], skip=5)

    assert [job.id async for job in client.jobs(wanted)] == ["c", "b", "a"]
    assert script.asked["ListJobs"] == [
        ListJobsRequest(types=["scan"], skip=5, page_size=200),
        ListJobsRequest(types=["scan"], page_size=200, page_token="more"),
    ]
    assert wanted == ListJobsRequest(types=["scan"], skip=5)


async def test_many_items_are_asked_for_in_batches(script: Script, client: Client) -> None:
    script.will("GetItems", GetItemsResponse(items=[Item(id="x")]))

    assert len(await client.items_by_id(["i"] * 450)) == 3
    sizes = [len(request.ids) for request in script.asked["GetItems"] if isinstance(request, GetItemsRequest)]
    assert sizes == [200, 200, 50]


def changed(*jobs: Job) -> WatchJobsResponse:
    return WatchJobsResponse(jobs=jobs)


@pytest.mark.parametrize("loss", [AWAY, OverloadedError("the reader is too far behind")])
async def test_a_lost_watch_is_opened_again_and_told_what_it_missed(
    script: Script, client: Client, loss: Exception
) -> None:
    script.will(
        "WatchJobs",
        [changed(Job(id="a", progress_percent=10)), loss],
        [changed(Job(id="a", state=COMPLETED)), no_word],
    )
    seen: list[int] = []
    async for job in client.watch(["a"]):
        seen.append(job.progress_percent)
        if job.state == COMPLETED:
            break

    first, second = script.asked["WatchJobs"]
    assert seen == [10, 0]
    assert (getattr(first, "initial", None), getattr(second, "initial", None)) == (False, True)


async def test_a_watch_that_the_service_refuses_ends(script: Script, client: Client) -> None:
    script.will("WatchJobs", StateError("no"))

    with pytest.raises(StateError):
        await anext(client.watch())


async def test_a_stream_that_is_silent_too_long_is_opened_again(script: Script) -> None:
    script.will("WatchJobs", no_word, changed(Job(id="a")))
    async with serving(script) as address, open_channel(address) as channel:
        repeating = Repeating(target=address, patience=QUICK)
        watch = repeating.stream(JobServiceStub(channel).WatchJobs, WatchJobsRequest, quiet_s=0.05)

        assert (await anext(watch)).jobs[0].id == "a"
        await watch.aclose()
    assert len(script.asked["WatchJobs"]) >= 2


async def test_a_watch_outlives_a_restart_of_the_scheduler(script: Script) -> None:
    script.will("WatchJobs", [changed(Job(id="a")), no_word], changed(Job(id="a", state=COMPLETED)))
    async with serving(script) as address:
        client = Client(address, patience=QUICK)
        watch = client.watch(["a"])
        assert (await anext(watch)).state != COMPLETED
    async with client, serving(script, port=int(address.rpartition(":")[2])):
        assert (await anext(watch)).state == COMPLETED
        await watch.aclose()


async def test_waiting_for_a_final_job_does_not_watch(script: Script, client: Client) -> None:
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=COMPLETED)))

    assert (await client.final("a")).state == COMPLETED
    assert script.asked["WatchJobs"] == []


async def test_waiting_ends_with_the_final_state(script: Script, client: Client) -> None:
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=RUNNING)))
    script.will("WatchJobs", [changed(Job(id="a", state=RUNNING)), changed(Job(id="a", state=COMPLETED))])

    assert (await client.final("a")).state == COMPLETED


LINES = [f"line {number}\n" for number in range(9)]


@given(st.integers(0, 9), st.lists(st.integers(1, 9), max_size=5))
async def test_a_lost_log_goes_on_where_it_was(lost_after: int, cuts: list[int]) -> None:
    """However the service cuts the log into pieces, before the loss and after it."""
    edges = [0, *sorted({cut for cut in cuts if cut < 9}), 9]
    whole = [ReadLogResponse(text="".join(LINES[start:end])) for start, end in pairwise(edges)]
    script = Script()
    script.will("ReadLog", [ReadLogResponse(text="".join(LINES[:lost_after])), AWAY], [*whole])
    async with serving(script) as address, Client(address, patience=QUICK) as client:
        told = [piece async for piece in client.read_log("a", follow=True)]

    assert "".join(told) == "".join(LINES)
    assert "" not in told


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.001, 10), st.floats(0.001, 100))
def test_pauses_grow_to_their_limit_and_never_beyond(
    repetition: int, chance: float, pause_s: float, pause_max_s: float
) -> None:
    patience = Patience(pause_s=pause_s, pause_max_s=pause_max_s)

    pause = patience.pause_before(repetition, chance)

    assert 0 < pause <= pause_max_s
    assert pause <= pause_s * 2.0 ** min(repetition, 40)
    assert patience.pause_before(repetition + 1, chance) >= pause


async def test_a_closed_client_says_so(script: Script) -> None:
    async with serving(script) as address:
        async with Client(address, patience=QUICK) as client:
            pass
        with pytest.raises(grpc.aio.UsageError):
            await client.stats()
