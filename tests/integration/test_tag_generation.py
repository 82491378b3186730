"""Tags through scheduler and workers: REST and the command line find what a model says."""

import json
from pathlib import Path

from callsheet_gateway.settings import GatewaySettings

from callsheet.channel import open_channel
from callsheet.v1.job_pb2 import JobState
from tests.support.command_line import CommandLine
from tests.support.gateways import rest_over
from tests.support.media import ffmpeg
from tests.support.onnx_models import put_model
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.worker_processes import WorkerProcess, worker_process

MODEL = "colours@0123456789ab"


async def scanned(scheduler: RealScheduler, jobs: Jobs, folder: Path) -> None:
    """Have a CPU worker scan a red video and a blue one."""
    for colour in ("red", "blue"):
        picture = f"color=c={colour}:size=320x180:rate=25:duration=2"
        ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", str(folder / f"library/{colour}.mp4"))
    roots = json.dumps({"library": {"path": str(folder / "library")}})
    async with worker_process(scheduler.address, folder, "boreas", roots=roots):
        await jobs.known("scan")
        await jobs.reached(
            await jobs.submitted("scan", params='{"pictures": false}'), JobState.JOB_STATE_COMPLETED
        )


async def test_model_tags_videos_that_rest_and_the_command_line_find_then(
    fresh_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "library").mkdir()
    put_model(tmp_path / "models")
    settings = {
        "CALLSHEET_ROOTS": json.dumps({"library": {"path": str(tmp_path / "library")}}),
        "CALLSHEET_SOFTWARE_GPU": "true",
        "CALLSHEET_MODEL_DIR": str(tmp_path / "models"),
    }
    async with (
        real_scheduler(fresh_dsn, tmp_path) as scheduler,
        open_channel(scheduler.address) as channel,
        rest_over(scheduler.address, GatewaySettings()) as rest,
    ):
        jobs = Jobs(channel)
        await scanned(scheduler, jobs, tmp_path)
        worker = WorkerProcess(scheduler.address, tmp_path, "atlas", settings, kind="gpu")
        await worker.start()
        try:
            await jobs.known("tag_generation")
            for colour in ("red", "blue"):
                params = json.dumps({"inputPath": f"{colour}.mp4"})
                ids = await jobs.submitted("tag_generation", params=params)
                (done,) = await jobs.reached(ids, JobState.JOB_STATE_COMPLETED)
        finally:
            await worker.kill()
        log = await jobs.log_of(done.id)
        page = (await rest.get("/api/media/items", params={"tag": ["red", "landscape"]})).json()
        nothing = (await rest.get("/api/media/items", params={"tag": ["red", "portrait"]})).json()
        listed = await CommandLine(tmp_path, scheduler=scheduler.address).run(
            "library", "list", "--tag", "blue", "--json"
        )

    assert done.software
    assert json.loads(done.result_json)["models"][0]["provider"] == "CPUExecutionProvider"
    assert f"{MODEL}: blue 1.00" in log
    [item] = page["data"]
    assert item["path"] == "red.mp4"
    by_source = {tag["source"]: tag for tag in item["tags"]}
    assert set(by_source) == {"metadata", "heuristic", MODEL}
    assert (by_source[MODEL]["name"], by_source[MODEL]["computedOn"]) == ("red", "cpu")
    assert by_source["metadata"]["computedOn"] is None
    assert nothing["data"] == []
    assert [json.loads(line)["facts"]["path"] for line in listed.out.splitlines()] == ["blue.mp4"]
