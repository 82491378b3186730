"""Commands against services whose answers are written down: what is asked, said and returned."""

import asyncio
import signal
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet import errors
from callsheet.v1.fleet_service_pb2 import ListWorkersResponse
from callsheet.v1.job_pb2 import Job, JobState, NewJob, ResourceCategory
from callsheet.v1.job_service_pb2 import (
    CancelJobRequest,
    CancelJobResponse,
    GetJobResponse,
    ListJobsRequest,
    ListJobsResponse,
    ReadLogResponse,
    SubmitJobsRequest,
    SubmitJobsResponse,
    SubmittedJob,
    WatchJobsResponse,
)
from callsheet.v1.library_service_pb2 import (
    GetItemRequest,
    GetItemResponse,
    Item,
    ItemFacts,
    ItemState,
    ItemTag,
    ListItemsRequest,
    ListItemsResponse,
    MediaKind,
)
from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
CHILD = "01890a5d-ac96-774b-bcce-b302099a8058"
RUNNING = Job(
    id=ID,
    type="scan",
    state=JobState.JOB_STATE_RUNNING,
    category=ResourceCategory.RESOURCE_CATEGORY_CPU,
    priority=5,
    progress_percent=50,
    attempt=1,
)
COMPLETED = Job(
    id=ID,
    type="scan",
    state=JobState.JOB_STATE_COMPLETED,
    params_json='{"root": "library", "path": "holidays"}',
    result_json='{"found": 2, "new": 2, "changed": 0, "unchanged": 0, "broken": 1, "missing": 0}',
    progress_percent=100,
)
FAILED = Job(id=ID, type="scan", state=JobState.JOB_STATE_FAILED, error="the root is not there")
MADE = Job(
    id=CHILD,
    type="derivatives_generate",
    parent_id=ID,
    state=JobState.JOB_STATE_COMPLETED,
    params_json='{"itemIds": ["a", "b"]}',
    result_json='{"made": 2, "failed": 0}',
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotFoundError("there is no job"), 1),
        (errors.InvalidError("must be a UUID", field="id"), 2),
        (errors.OverloadedError("full"), 3),
        (errors.StateError("it is completed"), 4),
        (errors.UnauthenticatedError("no token"), 5),
        (KeyError("x"), 1),
    ],
)
async def test_an_error_is_one_line_and_an_exit_code(
    script: Script, callsheet: CommandLine, error: Exception, code: int
) -> None:
    script.will("CancelJob", error)

    ended = await callsheet.run("jobs", "cancel", ID)

    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1


async def test_who_cannot_be_reached_is_named(tmp_path: Path) -> None:
    ended = await CommandLine(tmp_path, scheduler="127.0.0.1:1").run("jobs", "list")

    assert ended.code == 3
    assert "127.0.0.1:1" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "frobnicate"),
        ("jobs", "list", "--state", "odd"),
        ("jobs", "show"),
        ("jobs", "submit", "scan", "--priority", "11"),
    ],
)
async def test_wrong_use_has_its_exit_code(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert (await CommandLine(tmp_path).run(*arguments)).code == 2


async def test_jobs_are_listed_with_their_filters(script: Script, callsheet: CommandLine) -> None:
    waiting = Job(
        id=CHILD, type="scan", state=JobState.JOB_STATE_PENDING, waiting_reason="All 2 cpu slots are busy"
    )
    script.will("ListJobs", ListJobsResponse(jobs=[RUNNING, waiting, FAILED], next_page_token="more"))
    filters = (
        "--state",
        "running",
        "--state",
        "failed",
        "--type",
        "scan",
        "--category",
        "cpu",
        "--query",
        "x",
        "--oldest-first",
    )

    table = await callsheet.run("jobs", "list", *filters, "--limit", "2")
    lines = await callsheet.run("jobs", "list", "--limit", "3", "--json")

    assert script.asked["ListJobs"][0] == ListJobsRequest(
        states=[JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_FAILED],
        types=["scan"],
        categories=[ResourceCategory.RESOURCE_CATEGORY_CPU],
        query="x",
        page_size=2,
        oldest_first=True,
    )
    assert len(table.out.splitlines()) == 3
    assert "All 2 cpu slots are busy" in table.out
    assert [document["state"] for document in lines.documents()] == ["running", "pending", "failed"]


async def test_a_cancelled_running_job_waits_for_its_worker(script: Script, callsheet: CommandLine) -> None:
    script.will("CancelJob", CancelJobResponse(job=RUNNING))

    ended = await callsheet.run("jobs", "cancel", ID)

    assert ended.out == "Asked to end; it is cancelled when its worker confirms.\n"
    assert script.asked["CancelJob"] == [CancelJobRequest(id=ID, requested_by="callsheet jobs cancel")]


async def test_a_submission_says_the_id(script: Script, callsheet: CommandLine) -> None:
    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    options = ("--id", ID, "--priority", "2", "--max-retries", "0", "--interactive")

    ended = await callsheet.run("jobs", "submit", "validate", "--param", "depth=probe", *options)

    wanted = NewJob(
        id=ID, type="validate", params_json='{"depth": "probe"}', priority=2, max_retries=0, interactive=True
    )
    assert (ended.code, ended.out) == (0, f"{ID}\n")
    assert script.asked["SubmitJobs"] == [SubmitJobsRequest(jobs=[wanted])]


@pytest.mark.parametrize(("final", "code"), [(COMPLETED, 0), (FAILED, 1)])
async def test_waiting_for_a_job_ends_as_the_job_does(
    script: Script, callsheet: CommandLine, final: Job, code: int
) -> None:
    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    script.will("GetJob", GetJobResponse(job=RUNNING), GetJobResponse(job=final))
    script.will("WatchJobs", [WatchJobsResponse(jobs=[RUNNING]), WatchJobsResponse(jobs=[final])])

    ended = await callsheet.run("jobs", "submit", "scan", "--wait", "--json")

    assert ended.code == code
    assert ended.document()["state"] == ("completed" if code == 0 else "failed")
    assert ended.err.splitlines()[0] == "Scan: 50 %"


async def test_a_log_is_written_without_its_tricks(script: Script, callsheet: CommandLine) -> None:
    script.will("ReadLog", [ReadLogResponse(text="one\n\x1b[2Jtwo\n"), ReadLogResponse(text="three\n")])

    ended = await callsheet.run("jobs", "logs", ID)
    lines = await callsheet.run("jobs", "logs", ID, "--json", "--follow")

    assert ended.out == "one\n\\x1b[2Jtwo\nthree\n"
    assert lines.documents() == [{"line": "one"}, {"line": "\x1b[2Jtwo"}, {"line": "three"}]


async def test_interrupting_ends_at_once_and_says_that_the_scan_goes_on(
    script: Script, callsheet: CommandLine
) -> None:
    watched = asyncio.Event()

    async def no_word() -> None:
        watched.set()
        await asyncio.Event().wait()

    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    script.will("GetJob", GetJobResponse(job=RUNNING))
    script.will("WatchJobs", no_word)
    process = await callsheet.start("scan", "--wait")
    await asyncio.wait_for(watched.wait(), 30)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert process.returncode == 130
    assert f"The scan goes on: callsheet jobs show {ID}" in err.decode()
    assert "Traceback" not in err.decode()


def library(script: Script) -> None:
    broken = Item(id="b", facts=ItemFacts(root="library", path="holidays/b.jpg", reason="truncated"))
    script.will(
        "ListItems",
        ListItemsResponse(total=1, total_is_exact=True),
        ListItemsResponse(total=10_000, total_is_exact=False),
        ListItemsResponse(),
        ListItemsResponse(),
        ListItemsResponse(items=[broken], total=1, total_is_exact=True),
    )


async def test_a_scan_is_followed_until_its_pictures_are_made(script: Script, callsheet: CommandLine) -> None:
    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    script.will("GetJob", GetJobResponse(job=COMPLETED))
    pending = Job()
    pending.CopyFrom(MADE)
    pending.state = JobState.JOB_STATE_PENDING
    script.will("ListJobs", ListJobsResponse(jobs=[pending]))
    script.will("WatchJobs", [WatchJobsResponse(jobs=[pending]), WatchJobsResponse(jobs=[MADE])])
    library(script)

    ended = await callsheet.run("scan", "holidays", "--wait", "--force")

    [submission] = script.asked["SubmitJobs"]
    assert isinstance(submission, SubmitJobsRequest)
    assert submission.jobs[0].params_json == '{"root": "library", "path": "holidays", "skipExisting": false}'
    assert script.asked["ListJobs"] == [
        ListJobsRequest(types=["derivatives_generate"], parent_id=ID, page_size=200)
    ]
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "Scanned library:holidays: 2 files; 2 new, 0 changed, 0 unchanged, 0 missing.",
        "The library has 1 image, more than 10,000 videos there.",
        "Pictures were made of 2 items.",
        "1 file cannot be used:",
        "  holidays/b.jpg: truncated",
    ]
    assert "Pictures: 100 %, 2 of 2 items" in ended.err


async def test_a_scan_that_failed_says_why(script: Script, callsheet: CommandLine) -> None:
    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    script.will("GetJob", GetJobResponse(job=FAILED))
    script.will("ListItems", ListItemsResponse())

    ended = await callsheet.run("scan", "--wait")

    assert ended.code == 1
    assert f"scan failed: the root is not there (callsheet jobs logs {ID})" in ended.out


async def test_a_scan_as_a_document(script: Script, callsheet: CommandLine) -> None:
    script.will("SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID)]))
    script.will("GetJob", GetJobResponse(job=COMPLETED))
    script.will("ListJobs", ListJobsResponse(jobs=[MADE]))
    library(script)

    document = (await callsheet.run("scan", "--wait", "--json")).document()

    assert document["place"] == "library:holidays"
    assert document["pictures"] == {"made": 2, "failed": 0}
    assert document["items"] == {"image": 1, "video": 10_000, "audio": 0, "document": 0}
    assert document["failed_jobs"] == []


async def test_items_are_listed_and_shown(script: Script, callsheet: CommandLine) -> None:
    item = Item(
        id=ID,
        facts=ItemFacts(
            root="library",
            path="a\nb.mp4",
            kind=MediaKind.MEDIA_KIND_VIDEO,
            state=ItemState.ITEM_STATE_OK,
            size_bytes=3_030_106,
            width=1920,
            height=1080,
            duration_s=61.0,
            format="mov",
            video_codec="h264",
            audio_codec="aac",
        ),
        tags=[
            ItemTag(name="landscape", score=1, source="metadata"),
            ItemTag(name="video", score=1, source="metadata"),
            ItemTag(name="a cat", score=0.814, source="clip@0123456789ab", computed_on="cpu"),
        ],
    )
    script.will("ListItems", ListItemsResponse(items=[item]))
    script.will("GetItem", GetItemResponse(item=item))

    listed = await callsheet.run(
        "library", "list", "archive:x", "--kind", "video", "--state", "ok", "--query", "b", "--tag", "a cat"
    )
    shown = await callsheet.run("library", "show", "library:a")
    document = await callsheet.run("library", "show", ID.upper(), "--json")

    assert script.asked["ListItems"] == [
        ListItemsRequest(
            root="archive",
            folder="x",
            kinds=[MediaKind.MEDIA_KIND_VIDEO],
            states=[ItemState.ITEM_STATE_OK],
            query="b",
            tags=["a cat"],
            page_size=50,
        )
    ]
    assert script.asked["GetItem"] == [GetItemRequest(root="library", path="a"), GetItemRequest(id=ID)]
    for text in ("video", "ok", "3.0 MB", "1920 x 1080", "1 min 1 s", "mov (h264+aac)"):
        assert text in listed.out
    assert "3,030,106 bytes" in shown.out
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert "tags: metadata landscape, video" in lines
    assert "tags: clip@0123456789ab (cpu) a cat 0.81" in lines
    assert document.document()["id"] == ID


async def test_job_that_waits_shows_when_it_could_start(script: Script, callsheet: CommandLine) -> None:
    waiting = Job(
        id=ID, state=JobState.JOB_STATE_PENDING, predicted_start_at=Timestamp(seconds=1_800_000_000)
    )
    script.will("GetJob", GetJobResponse(job=waiting))

    shown = await callsheet.run("jobs", "show", ID)
    document = (await callsheet.run("jobs", "show", ID, "--json")).document()

    (line,) = [line for line in shown.out.splitlines() if line.startswith("expected to start")]
    assert line.split()[3] == "2027-01-15T08:00:00.000Z"
    assert document["predicted_start_at"] == "2027-01-15T08:00:00.000Z"


async def test_nothing_is_said_aside_of_a_list_without_entries(
    script: Script, callsheet: CommandLine
) -> None:
    script.will("ListWorkers", ListWorkersResponse())
    script.will("ListJobs", ListJobsResponse())

    documents = await callsheet.run("jobs", "list", "--json")
    table = await callsheet.run("fleet", "list")

    assert (documents.out, documents.err) == ("", "")
    assert (table.out, table.err) == ("", "No workers.\n")


async def test_the_help_names_the_exit_codes(tmp_path: Path) -> None:
    ended = await CommandLine(tmp_path).run("--help")

    assert ended.code == 0
    for text in ("0 done", "3 no scheduler answers", "130 interrupted"):
        assert text in " ".join(ended.out.split())
