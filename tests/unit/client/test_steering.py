"""What the client steers with is safe to repeat, and pages through what a filter chooses."""

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.client import Client, Limit
from callsheet.errors import InvalidError, NotFoundError, StateError
from callsheet.v1.fleet_service_pb2 import (
    DrainWorkerRequest,
    DrainWorkerResponse,
    LimitQueueRequest,
    LimitQueueResponse,
    ListQueuesResponse,
    PauseQueueResponse,
    Queue,
    ResumeQueueResponse,
    ResumeWorkerResponse,
    Worker,
)
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.v1.job_service_pb2 import (
    ActOnJobsRequest,
    ActOnJobsResponse,
    GetJobResponse,
    JobAction,
    ListJobsRequest,
    PauseJobResponse,
    PrioritizeJobResponse,
    RefusedAction,
    ResumeJobResponse,
)
from tests.support.scripted_services import AWAY, Script

PENDING = JobState.JOB_STATE_PENDING
PAUSED = JobState.JOB_STATE_PAUSED
CANCELLED = JobState.JOB_STATE_CANCELLED
COMPLETED = JobState.JOB_STATE_COMPLETED


async def test_what_has_no_state_to_be_refused_for_is_just_repeated(script: Script, client: Client) -> None:
    script.will("PauseJob", AWAY, PauseJobResponse(job=Job(id="a", state=PAUSED)))
    script.will("PrioritizeJob", AWAY, PrioritizeJobResponse(job=Job(id="a", priority=2)))
    script.will("ListQueues", AWAY, ListQueuesResponse(queues=[Queue(scope="all")]))
    script.will("PauseQueue", AWAY, PauseQueueResponse(queue=Queue(paused=True)))
    script.will("ResumeQueue", AWAY, ResumeQueueResponse(queue=Queue()))
    script.will("LimitQueue", AWAY, LimitQueueResponse(queue=Queue(host_limit=3)))
    script.will("DrainWorker", AWAY, DrainWorkerResponse(worker=Worker(draining=True)))
    script.will("ResumeWorker", AWAY, ResumeWorkerResponse(worker=Worker(id="w")))

    assert (await client.pause("a")).state == PAUSED
    assert (await client.prioritize("a", 2)).priority == 2
    assert [queue.scope for queue in await client.queues()] == ["all"]
    assert (await client.pause_queue("all", requested_by="me")).paused
    assert not (await client.resume_queue("all")).paused
    assert (await client.limit_queue("all", host=Limit(jobs=3))).host_limit == 3
    assert (await client.drain_worker("w")).draining
    assert (await client.resume_worker("w")).id == "w"
    for requests in script.asked.values():
        assert len(requests) == 2
        assert requests[0] == requests[1]


@pytest.mark.parametrize("state", [PENDING, JobState.JOB_STATE_QUEUED, COMPLETED])
async def test_resumption_whose_answer_was_lost_is_no_error(
    script: Script, client: Client, state: JobState.ValueType
) -> None:
    script.will("ResumeJob", AWAY, StateError("only a paused job can be resumed"))
    script.will("GetJob", GetJobResponse(job=Job(id="a", state=state)))

    assert (await client.resume("a")).state == state


@pytest.mark.parametrize(
    "job",
    [
        Job(id="a", state=CANCELLED),
        Job(id="a", state=PAUSED),
        Job(id="a", state=JobState.JOB_STATE_RUNNING, pause_requested_at=Timestamp(seconds=1)),
    ],
    ids=["cancelled", "paused", "asked to pause"],
)
async def test_job_that_is_held_is_not_said_to_be_resumed(script: Script, client: Client, job: Job) -> None:
    script.will("ResumeJob", AWAY, StateError("not paused"))
    script.will("GetJob", GetJobResponse(job=job))

    with pytest.raises(StateError):
        await client.resume("a")


async def test_resumption_that_was_refused_at_once_stays_refused(script: Script, client: Client) -> None:
    script.will("ResumeJob", StateError("only a paused job can be resumed"))

    with pytest.raises(StateError):
        await client.resume("a")
    assert script.asked["GetJob"] == []


async def test_resumed_job_is_what_the_service_says(script: Script, client: Client) -> None:
    script.will("ResumeJob", ResumeJobResponse(job=Job(id="a", state=PENDING)))

    assert (await client.resume("a")).state == PENDING


async def acted(client: Client, wanted: ActOnJobsRequest) -> list[ActOnJobsResponse]:
    return [answer async for answer in client.act(wanted)]


async def test_many_named_jobs_are_as_many_calls_as_it_takes(script: Script, client: Client) -> None:
    script.will("ActOnJobs", ActOnJobsResponse(done_ids=["x"]))
    ids = [str(number) for number in range(2001)]

    answers = await acted(client, ActOnJobsRequest(action=JobAction.JOB_ACTION_PAUSE, ids=ids))

    asked = [request for request in script.asked["ActOnJobs"] if isinstance(request, ActOnJobsRequest)]
    assert [len(request.ids) for request in asked] == [1000, 1000, 1]
    assert [job_id for request in asked for job_id in request.ids] == ids
    assert len(answers) == 3


async def test_filter_is_paged_through_and_means_the_states_that_the_action_is_for(
    script: Script, client: Client
) -> None:
    script.will("ActOnJobs", ActOnJobsResponse(next_page_token="more"), ActOnJobsResponse(done_ids=["a"]))
    wanted = ActOnJobsRequest(action=JobAction.JOB_ACTION_RETRY, filter=ListJobsRequest(types=["scan"]))

    answers = await acted(client, wanted)

    first, second = (call for call in script.asked["ActOnJobs"] if isinstance(call, ActOnJobsRequest))
    assert list(first.filter.states) == [JobState.JOB_STATE_FAILED, CANCELLED]
    assert (first.page_token, second.page_token, second.filter) == ("", "more", first.filter)
    assert [list(answer.done_ids) for answer in answers] == [[], ["a"]]
    assert not wanted.filter.states


async def test_what_a_lost_try_did_counts_as_done(script: Script, client: Client) -> None:
    refused = [RefusedAction(id=name, reason=f"{name} is final") for name in ("a", "b", "c")]
    script.will("ActOnJobs", AWAY, ActOnJobsResponse(done_ids=["d"], refused=refused, next_page_token="x"))
    script.will(
        "GetJob",
        GetJobResponse(job=Job(id="a", state=CANCELLED)),
        GetJobResponse(job=Job(id="b", state=COMPLETED)),
        NotFoundError("there is no job c"),
    )

    answer = await client.act_once(
        ActOnJobsRequest(action=JobAction.JOB_ACTION_CANCEL, ids=["a", "b", "c", "d"])
    )

    assert list(answer.done_ids) == ["d", "a"]
    assert [one.id for one in answer.refused] == ["b", "c"]
    assert answer.next_page_token == "x"


async def test_what_was_refused_at_the_first_try_stays_refused(script: Script, client: Client) -> None:
    script.will("ActOnJobs", ActOnJobsResponse(refused=[RefusedAction(id="a", reason="final")]))

    answer = await client.act_once(ActOnJobsRequest(action=JobAction.JOB_ACTION_CANCEL, ids=["a"]))

    assert [one.id for one in answer.refused] == ["a"]
    assert script.asked["GetJob"] == []


@pytest.mark.parametrize(
    ("host", "fleet", "asked"),
    [
        (Limit(jobs=3), None, LimitQueueRequest(scope="cpu", host_limit=3)),
        (Limit(jobs=0), Limit(jobs=7), LimitQueueRequest(scope="cpu", host_limit=0, fleet_limit=7)),
        (Limit(jobs=None), None, LimitQueueRequest(scope="cpu", clear_host_limit=True)),
        (None, Limit(jobs=None), LimitQueueRequest(scope="cpu", clear_fleet_limit=True)),
    ],
)
async def test_limits_are_set_lifted_or_left(
    script: Script, client: Client, host: Limit | None, fleet: Limit | None, asked: LimitQueueRequest
) -> None:
    script.will("LimitQueue", LimitQueueResponse())

    await client.limit_queue("cpu", host=host, fleet=fleet)

    assert script.asked["LimitQueue"] == [asked]


async def test_grace_of_a_drain_is_told_where_there_is_one(script: Script, client: Client) -> None:
    script.will("DrainWorker", DrainWorkerResponse())

    await client.drain_worker("w", grace=timedelta(seconds=1.5), requested_by="me")
    await client.drain_worker("w")

    grace = Duration(seconds=1, nanos=500_000_000)
    assert script.asked["DrainWorker"] == [
        DrainWorkerRequest(id="w", grace=grace, requested_by="me"),
        DrainWorkerRequest(id="w"),
    ]


async def test_single_submission_names_the_field_of_the_job(script: Script, client: Client) -> None:
    script.will("SubmitJobs", InvalidError("must be from 1 to 10", field="jobs[0].priority"))

    with pytest.raises(InvalidError) as caught:
        await client.submit(NewJob(type="scan"))
    assert caught.value.field == "priority"
    with pytest.raises(InvalidError) as caught:
        await client.submit_many([NewJob(type="scan")])
    assert caught.value.field == "jobs[0].priority"
