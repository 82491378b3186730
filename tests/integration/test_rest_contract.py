"""Every documented request of the three systems whose front ends work here, and its documented answer.

Keys, types and status codes stand written out; an answer may have further keys, never others in their place.
"""

import asyncio
import re
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from types import NoneType
from typing import Final, NamedTuple

import pytest
import pytest_asyncio
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.service.settings import RootSettings
from tests.support.fresh_database import new_database
from tests.support.gateways import TOKEN
from tests.support.library_sites import started_worker
from tests.support.listening import served
from tests.support.media import quadrants, video
from tests.support.real_scheduler import real_scheduler
from tests.support.rest import JOBS, OBJECTS, Rest
from tests.support.shapes import Shape, filled, misfits

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
STATUS: Final = re.compile("pending|queued|running|completed|failed|cancelled|paused")
NUMBER: Final = (int, float)
UNKNOWN: Final = "019aa1f7-6f00-7000-8000-000000000001"

LISTED: Final[dict[str, Shape]] = {
    "id": ID,
    "type": str,
    "status": STATUS,
    "progress": int,
    "resourceCategory": re.compile("cpu|gpu_encode|gpu_ai"),
    "vramRequired": int,
    "priority": int,
    "params": dict,
    "createdAt": INSTANT,
}
CREATED: Final[dict[str, Shape]] = {
    "id": ID,
    "type": "reencode_streaming",
    "status": "pending",
    "progress": 0,
    "createdAt": INSTANT,
}
REENCODE: Final[dict[str, object]] = {
    "type": "reencode_streaming",
    "params": {"videoId": "{video}", "targetBitrate": 2000},
    "priority": 5,
    "resourceCategory": "gpu_encode",
    "vramRequired": 4000,
}
PROBLEM: Final[dict[str, Shape]] = {
    "type": str, "title": str, "status": int, "detail": str, "error": str,
}  # fmt: skip
TASK: Final[dict[str, Shape]] = {
    "task_id": ID,
    "task_name": str,
    "queue": re.compile("thumbnails|media|default"),
    "status": STATUS,
    "progress": int,
    "voyage_slug": (str, NoneType),
    "worker": (str, NoneType),
    "retries": int,
    "error": (str, NoneType),
    "created_at": INSTANT,
    "started_at": (str, NoneType),
    "completed_at": (str, NoneType),
}
KIND: Final[dict[str, Shape]] = {"total": int, "ok": int, "failed": int, "missing": int}
METADATA: Final[dict[str, Shape]] = {
    "file_path": str,
    "width": 240,
    "height": 160,
    "file_size": int,
    "duration": None,
    "format": "JPEG",
    "cached": bool,
    "cached_at": INSTANT,
}


class Case(NamedTuple):
    """A documented request and its answer."""

    method: str
    path: str
    status: int
    answer: Shape
    body: object = None


CASES: Final[dict[str, Case]] = {
    "list jobs": Case("GET", JOBS, 200, {
        "data": [LISTED], "pagination": {"page": 1, "limit": 20, "total": int, "totalPages": int},
    }),
    "list jobs with every parameter": Case(
        "GET", f"{JOBS}?page=1&limit=5&status=completed&type=scan&resourceCategory=cpu", 200, {
            "data": [{**LISTED, "status": "completed", "type": "scan", "startedAt": INSTANT}],
            "pagination": {"page": 1, "limit": 5, "total": int, "totalPages": int},
        },
    ),
    "job details": Case("GET", f"{JOBS}/{{completed}}", 200, {
        **LISTED, "status": "completed", "progress": 100, "log": str, "retryCount": 0, "maxRetries": 3,
        "startedAt": INSTANT, "completedAt": INSTANT,
    }),
    "create a job": Case("POST", JOBS, 201, CREATED, REENCODE),
    "re-encode a video": Case(
        "POST", f"{JOBS}/reencode", 201, {
            **LISTED, "type": "reencode_streaming", "resourceCategory": "gpu_encode", "vramRequired": 4000,
            "priority": 5, "status": "pending",
            "params": {"videoId": ID, "targetBitrate": 2000, "preset": "medium", "crf": 23},
        }, {"videoId": "{video}"},
    ),
    "re-encode no video": Case(
        "POST", f"{JOBS}/reencode", 404, {**PROBLEM, "error": "Video not found"}, {"videoId": UNKNOWN}
    ),
    "re-encode a picture": Case(
        "POST", f"{JOBS}/reencode", 404, {**PROBLEM, "error": "Video not found"}, {"videoId": "{image}"}
    ),
    "retry a failed job": Case("POST", f"{JOBS}/{{failed}}/retry", 200, {
        "id": ID, "status": re.compile("pending|queued"), "retryCount": 1, "retryAfter": None,
        "log": re.compile(r"(?s).*--- RETRY ATTEMPT 1 ---\n"),
    }),
    "cancel a job": Case("POST", f"{JOBS}/{{waiting}}/cancel", 200, {
        "id": ID, "status": "cancelled", "log": re.compile(r"(?s).*--- JOB CANCELLED BY ADMIN ---\n?"),
    }),
    "pause a job": Case("POST", f"{JOBS}/{{held}}/pause", 200, {"id": ID, "status": "paused"}),
    "resume a job": Case("POST", f"{JOBS}/{{held}}/resume", 200, {"id": ID, "status": "pending"}),
    "statistics": Case("GET", f"{JOBS}/stats", 200, {
        "pending": int, "queued": int, "running": int, "completed": int, "failed": int, "paused": int,
        "cancelled": int, "totalVramUsed": int, "totalVramAvailable": int, "averageProcessingTime": NUMBER,
        "jobsByType": {"scan": int}, "perGpu": list, "throughput": {"completedLastHour": int},
        "perCategory": {"cpu": {"completed": int}, "gpu_encode": dict, "gpu_ai": dict},
    }),
    "scan": Case("POST", JOBS, 201, {**CREATED, "type": "scan", "status": STATUS}, {
        "type": "scan", "params": {"directoryType": "videos", "skipExisting": True},
    }),
    "validate": Case("POST", JOBS, 201, {**CREATED, "type": "validate", "status": STATUS}, {
        "type": "validate", "params": {"videoId": "{video}"},
    }),
    "re-encode with all parameters": Case("POST", JOBS, 201, CREATED, {
        "type": "reencode_streaming",
        "params": {"videoId": "{video}", "targetBitrate": 2000, "preset": "medium", "crf": 23},
    }),
    "compile at random": Case("POST", JOBS, 201, {**CREATED, "type": "compile_random"}, {
        "type": "compile_random",
        "params": {
            "count": 10, "minDuration": 30, "maxDuration": 120, "orientation": "landscape",
            "outputPath": "compilations/random-001.mp4",
        },
    }),
    "digest": Case("POST", JOBS, 201, {**CREATED, "type": "digest_generate"}, {
        "type": "digest_generate",
        "params": {"videoId": "{video}", "targetLength": 60, "includeHighlights": True},
    }),
    "thumbnail": Case("POST", JOBS, 201, {**CREATED, "type": "thumbnail_generate", "status": STATUS}, {
        "type": "thumbnail_generate", "params": {"videoId": "{video}", "timestamp": 1, "width": 640},
    }),
    "videos by name, shape and length": Case(
        "GET", "/api/media/videos?q=CRYSTAL&orientation=landscape&minDuration=1&maxDuration=9", 200, {
            "data": [{"id": ID, "filename": "crystal.mp4", "kind": "video", "orientation": "landscape"}],
            "pagination": {"total": 1, "totalIsExact": bool, "nextCursor": None},
        },
    ),
    "no video that long": Case("GET", "/api/media/videos?minDuration=9", 200, {"data": []}),
    "no upright video": Case("GET", "/api/media/videos?orientation=portrait", 200, {"data": []}),
    "a video": Case("GET", "/api/media/videos/{video}", 200, {"id": ID, "jobIds": list}),
    "a picture is no video": Case("GET", "/api/media/videos/{image}", 404, {"error": "Video not found"}),
    "metadata": Case("GET", "/api/media/metadata?file_path={path}", 200, METADATA),
    "metadata again": Case("GET", "/api/media/metadata?file_path={path}", 200, {**METADATA, "cached": True}),
    "rebuild of the cache": Case("POST", "/api/media/cache/rebuild", 200, {
        "success": True, "message": "Cache rebuild started in background",
    }),
    "statistics of the cache": Case("GET", "/api/media/cache/stats", 200, {
        "thumbnails": {"exists": bool, "count": int, "size_bytes": int},
        "metadata": {"exists": True, "count": 2, "size_bytes": int},
    }),
    "tasks": Case("GET", "/api/async/async-tasks", 200, {"tasks": [TASK], "total": int, "next_cursor": None}),
    "a task": Case("GET", "/api/async/async-tasks/{completed}", 200, {
        **TASK, "task_name": "scan", "queue": "media", "status": "completed", "completed_at": INSTANT,
    }),
    "no task": Case("GET", f"/api/async/async-tasks/{UNKNOWN}", 404, PROBLEM),
    "cancel a task": Case("POST", "/api/async/async-tasks/{task}/cancel", 200, {
        "success": True, "task_id": ID, "status": "cancelled", "message": "Task cancelled",
    }),
    "cancel a task that is over": Case("POST", "/api/async/async-tasks/{completed}/cancel", 409, PROBLEM),
    "status of a voyage": Case("GET", "/api/async/media-processing-status/iceland", 200, {
        "voyage_slug": "iceland", "total": int, "pending": int, "processing": int, "completed": int,
        "failed": int, "cancelled": int, "percent_complete": NUMBER, "started_at": INSTANT,
        "completed_at": (str, NoneType),
        "by_media_type": {
            "image": {**KIND, "total": 1, "ok": 1}, "video": {**KIND, "total": 1}, "audio": KIND,
            "document": KIND,
        },
    }),
    "status of no voyage": Case("GET", "/api/async/media-processing-status/norway", 404, PROBLEM),
    "statistics of thumbnails": Case("GET", "/api/async/thumbnail-generation-stats", 200, {
        "total_media": 2, "with_thumbnail": int, "without_thumbnail": int, "percent_complete": NUMBER,
        "broken_media": 0, "pending": int, "completed": int, "failed": 1, "success_rate": NUMBER,
        "completed_last_hour": int, "failures_by_cause": [{"cause": str, "count": 1}],
    }),
    "retry of failed thumbnails": Case("POST", "/api/async/retry-failed-thumbnails", 200, {
        "success": True, "retried": 1, "message": "1 failed thumbnail job is queued again",
    }),
    "health of workers without one for work that waits": Case("GET", "/api/async/worker-health", 503, {
        **PROBLEM, "healthy": False, "total_workers": 1, "alive_workers": 1,
        "unserved": ["gpu_encode", "gpu_ai"],
        "waiting": {"cpu": int, "gpu_encode": int, "gpu_ai": int},
        "workers": [{
            "worker_id": str, "host": str, "alive": True, "draining": False, "last_heartbeat": INSTANT,
            "slots": int, "running": int, "load": NUMBER, "categories": ["cpu"],
        }],
    }),
}  # fmt: skip
"""In the order in which they are asked: what changes something comes after those that it would disturb."""


class Site(NamedTuple):
    """What these tests share."""

    rest: Rest
    names: dict[str, str]
    """What stands in braces in requests."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Site]:
    folder = tmp_path_factory.mktemp("site")
    roots = {
        name: RootSettings(path=folder / name, writable=name != "library")
        for name in ("library", "derivatives")
    }
    for root in roots.values():
        root.path.mkdir()
    videos = folder / "library" / "videos"
    videos.mkdir()
    video(videos / "crystal.mp4")
    quadrants().save(videos / "image.jpg")
    settings = GatewaySettings(roots=dict(roots))
    dsn = await new_database(database_server)
    async with real_scheduler(dsn, folder) as scheduler, served(scheduler.address, settings) as gateway:
        worker = await started_worker(scheduler, settings, folder)
        try:
            rest = Rest(gateway.rest)
            await rest.known("scan")
            yield Site(rest, await named(rest) | {"path": str(videos / "image.jpg")})
        finally:
            worker.terminate()
            await worker.wait()


async def named(rest: Rest) -> dict[str, str]:
    """Bring about what the requests speak of, and return the ids."""
    scan = await rest.create("scan", params={"path": "videos"}, collection="iceland")
    await rest.once(scan, "completed")
    items = OBJECTS.validate_python((await rest.ask("GET", "/api/media/items"))["data"])
    ids = {str(item["kind"]): str(item["id"]) for item in items}
    failed = await rest.create("thumbnail_generate", params={"videoId": UNKNOWN}, maxRetries=0)
    validated = await rest.create("validate", params={"videoId": UNKNOWN}, maxRetries=0)
    later = "2199-01-01T00:00:00Z"
    waiting = [await rest.create("scan", params={"path": "videos"}, runAt=later) for _ in range(3)]
    await rest.once(failed, "failed")
    await rest.once(validated, "failed")
    await rest.ask("POST", "/api/queues/validate/pause")
    await rest.create("digest_generate", params={"videoId": ids["video"]})
    await rest.create("reencode_streaming", params={"videoId": ids["video"]})
    for job in OBJECTS.validate_python((await rest.ask("GET", f"{JOBS}?parentId={scan}"))["data"]):
        await rest.once(str(job["id"]), "completed")
    return ids | {
        "completed": scan,
        "failed": validated,
        **dict(zip(("waiting", "held", "task"), waiting, strict=True)),
    }


@pytest.mark.parametrize("name", CASES)
async def test_documented_request_is_answered_as_documented(site: Site, name: str) -> None:
    case = CASES[name]
    path = str(filled(case.path, site.names))
    answer = await site.rest.client.request(case.method, path, json=filled(case.body, site.names))
    assert answer.status_code == case.status, answer.text
    assert misfits(answer.json(), case.answer) == []
    wanted = "application/problem+json" if case.status >= 400 else "application/json"
    assert answer.headers["content-type"] == wanted
    anonymous = await site.rest.client.request(case.method, path, headers={"Authorization": ""})
    assert anonymous.status_code == 401


async def test_pause_and_resume_answer_with_nothing_but_what_is_documented(site: Site) -> None:
    job_id = await site.rest.create("scan", params={"path": "videos"}, runAt="2199-01-01T00:00:00Z")
    for action in ("pause", "resume"):
        assert set(await site.rest.ask("POST", f"{JOBS}/{job_id}/{action}")) == {"id", "status"}


async def test_thumbnail_of_a_file_is_a_jpeg_that_is_known_the_next_time(site: Site) -> None:
    asked: dict[str, str | int] = {"file_path": site.names["path"], "size": 300}
    answer = await site.rest.client.get("/api/media/thumbnail", params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    known = {"If-None-Match": answer.headers["etag"]}
    assert (
        await site.rest.client.get("/api/media/thumbnail", params=asked, headers=known)
    ).status_code == 304


CURLS: Final = (
    """curl -X POST http://localhost:4100/api/media/jobs \\
-H "Authorization: Bearer YOUR_TOKEN" \\
-H "Content-Type: application/json" \\
-d '{
"type": "reencode_streaming",
"params": { "videoId": "VIDEO_ID", "targetBitrate": 2000 },
"priority": 5
}'""",
    """curl -s http://localhost:4100/api/media/jobs/JOB_ID | jq ".progress\"""",
    """curl http://localhost:4100/api/media/jobs/JOB_ID | jq -r ".log\"""",
    """curl http://localhost:4100/api/media/jobs/stats | jq""",
)
"""The documented commands; all but the first lack the token that they need."""


@pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("jq"), reason="curl and jq are not installed"
)
async def test_documented_commands_work_with_this_port_and_a_token(site: Site) -> None:
    address = f"{site.rest.client.base_url.host}:{site.rest.client.base_url.port}"

    async def printed(command: str, *, token: str = TOKEN) -> str:
        bearer = f'-H "Authorization: Bearer {token}" http://{address}'
        command = re.sub(r"http://localhost:4100", f"http://{address}", command)
        if "Authorization" not in command:
            command = command.replace(f"http://{address}", bearer)
        command = command.replace("YOUR_TOKEN", token).replace("VIDEO_ID", site.names["video"])
        command = command.replace("JOB_ID", site.names["completed"])
        shell = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=PIPE, stderr=PIPE)
        out, _ = await shell.communicate()
        return out.decode()

    create, progress, log, stats = CURLS
    assert '"type":"reencode_streaming"' in await printed(create)
    assert await printed(progress) == "100\n"
    assert "Scanning" in await printed(log)
    assert '"totalVramAvailable": 0' in await printed(stats)
    for command in CURLS:
        refused = re.sub(r" \| jq.*", "", command)
        assert '"status":401' in await printed(refused, token="wrong")
