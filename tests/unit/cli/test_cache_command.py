"""``callsheet cache``, against services whose answers are written down."""

import json

import pytest

from callsheet.v1.job_pb2 import JobState, NewJob
from callsheet.v1.job_service_pb2 import SubmitJobsRequest, SubmitJobsResponse, SubmittedJob
from callsheet.v1.library_service_pb2 import GetCacheStatsResponse, ItemCount, ItemState, MediaKind
from tests.support.command_line import CommandLine
from tests.support.scripted_services import Script

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


async def asked_for(script: Script, callsheet: CommandLine, *arguments: str) -> NewJob:
    """Return the job that a command submits."""
    script.will(
        "SubmitJobs", SubmitJobsResponse(jobs=[SubmittedJob(id=ID, state=JobState.JOB_STATE_PENDING)])
    )
    ended = await callsheet.run("cache", *arguments)
    assert (ended.code, ended.out, ended.err) == (0, f"{ID}\n", "")
    request = script.asked["SubmitJobs"][-1]
    assert isinstance(request, SubmitJobsRequest)
    (job,) = request.jobs
    return job


@pytest.mark.parametrize(
    ("arguments", "job_type", "params", "key"),
    [
        (("build",), "cache_build", {}, "cache-build"),
        (("build", "library:a/b"), "cache_build", {"roots": ["library"], "path": "a/b"}, ""),
        (
            ("build", "--kind", "sprite", "--box", "300", "--box", "640", "--format", "webp", "--batch", "5"),
            "cache_build",
            {"kinds": ["sprite"], "boxes": [300, 640], "format": "webp", "batch": 5},
            "",
        ),
        (("build", "--force"), "cache_build", {"force": True}, ""),
        (("sweep",), "cache_sweep", {}, "cache_sweep"),
        (("sweep", "--min-age", "60"), "cache_sweep", {"minAgeS": 60}, "cache_sweep"),
    ],
)
async def test_options_become_parameters_of_one_job_that_gives_way_to_all_others(
    script: Script,
    callsheet: CommandLine,
    arguments: tuple[str, ...],
    job_type: str,
    params: dict[str, object],
    key: str,
) -> None:
    job = await asked_for(script, callsheet, *arguments)

    assert (job.type, json.loads(job.params_json)) == (job_type, params)
    assert (job.priority, job.unique_key) == (10, key)


async def test_format_that_there_is_not_is_a_wrong_use(script: Script, callsheet: CommandLine) -> None:
    ended = await callsheet.run("cache", "build", "--format", "bmp")
    assert (ended.code, ended.out, dict(script.asked)) == (2, "", {})


async def test_what_is_cached_is_told_apart_by_kind(script: Script, callsheet: CommandLine) -> None:
    counted = GetCacheStatsResponse(
        thumbnail_count=7,
        thumbnail_bytes=7000,
        derivative_count=9,
        derivative_bytes=9000,
        item_count=8,
        item_bytes=800,
        items=[
            ItemCount(
                kind=MediaKind.MEDIA_KIND_VIDEO, state=ItemState.ITEM_STATE_OK, count=8, with_thumbnail=7
            )
        ],
    )
    script.will("GetCacheStats", counted)

    shown = await callsheet.run("cache", "stats")
    document = (await callsheet.run("cache", "stats", "--json")).document()

    rows = [line.split() for line in shown.out.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in {"thumbnails", "others", "metadata"}] == [
        ["thumbnails", "7"],
        ["others", "2"],
        ["metadata", "8"],
    ]
    assert ["video", "ok", "8", "7"] in rows
    assert document["thumbnail_count"] == 7
