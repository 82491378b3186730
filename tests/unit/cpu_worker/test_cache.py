"""The cache builder over real files: what it plans, what it makes, and what the sweep removes."""

import os
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from callsheet_cpu_worker.processors.cache_build import CacheBuild
from callsheet_cpu_worker.processors.cache_sweep import CacheSweep
from callsheet_cpu_worker.processors.scan import Scan
from PIL import Image

from callsheet.errors import BadInputError
from callsheet.media.outputs import PictureFormat
from callsheet.params import CacheBuildParams, CacheSweepParams, DerivativeKind, ScanParams
from callsheet.service.settings import RootSettings
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.worker.processor import Outcome, Yielded
from callsheet.worker.storage.library import Roots
from tests.support.attempts import Desk, desk
from tests.support.folders import folder_of
from tests.support.media import corners, quadrants


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "library"
    (folder / "sub").mkdir(parents=True)
    for number in range(6):
        path = folder / ("sub" if number > 3 else "") / f"{number}.jpg"
        quadrants(640, 400).save(path)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    async with desk(tmp_path, folder) as one:
        yield one


async def yielded(at: Desk, params: CacheBuildParams) -> Sequence[NewJob]:
    outcome = await CacheBuild().process(params, at.context())
    assert isinstance(outcome, Yielded)
    at.checkpoint = outcome.checkpoint
    return outcome.children


async def run(at: Desk, children: Sequence[NewJob]) -> None:
    """Do jobs as a worker would, and keep them as finished children."""
    for job in children:
        if job.type == "scan":
            outcome: object = await Scan().process(
                ScanParams.model_validate_json(job.params_json), at.context()
            )
        else:
            params = CacheBuildParams.model_validate_json(job.params_json)
            outcome = await CacheBuild().process(params, at.context())
        assert isinstance(outcome, Outcome)
        at.library.take(outcome)
        counts = ",".join(
            f'"{name}": {count}' for name, count in outcome.result.items() if isinstance(count, int)
        )
        done = Job(type=job.type, state=JobState.JOB_STATE_COMPLETED, result_json=f"{{{counts}}}")
        done.started_at.seconds, done.finished_at.seconds = 100, 102
        at.queue.finished.append(done)


async def built(at: Desk, params: CacheBuildParams) -> Outcome:
    at.checkpoint, at.queue.finished = None, []
    while isinstance(outcome := await CacheBuild().process(params, at.context()), Yielded):
        at.checkpoint = outcome.checkpoint
        await run(at, outcome.children)
    at.checkpoint = None
    return outcome


async def test_build_looks_for_files_then_makes_what_they_lack_then_sums_up(at: Desk) -> None:
    params = CacheBuildParams(batch=4)
    scans = await yielded(at, params)
    assert [(job.type, job.priority) for job in scans] == [("scan", 10)]
    await run(at, scans)
    assert at.queue.submitted == []
    chunks = await yielded(at, params)
    named = [CacheBuildParams.model_validate_json(job.params_json).item_ids for job in chunks]
    paths = [at.library.rows[str(one)].facts.path for chunk in named for one in chunk]
    assert [len(chunk) for chunk in named] == [4, 2]
    assert paths == ["sub/5.jpg", "sub/4.jpg", "3.jpg", "2.jpg", "1.jpg", "0.jpg"]
    await run(at, chunks)
    outcome = await CacheBuild().process(params, at.context())
    assert isinstance(outcome, Outcome)
    assert outcome.result == {
        "files": 6, "jobs": 2, "jobsLost": 0, "made": 6, "skipped": 0, "broken": 0, "failed": 0, "missing": 0,
        "seconds": 2.0, "filesPerSecond": 3.0,
    }  # fmt: skip
    assert "6 made, 0 skipped, 0 broken, 0 failed in 2.0 s: 3.0 files/s" in at.diary.text


async def test_second_build_makes_nothing_and_a_changed_file_is_made_again_alone(
    at: Desk, tmp_path: Path
) -> None:
    await built(at, CacheBuildParams())
    before = at.files()
    assert (await built(at, CacheBuildParams())).result["jobs"] == 0
    assert at.files() == before
    quadrants(320, 200).save(tmp_path / "library" / "2.jpg")
    again = await built(at, CacheBuildParams())
    assert (again.result["jobs"], again.result["made"]) == (1, 1)
    assert len(at.files()) == len(before) + 2
    assert (await built(at, CacheBuildParams(force=True))).result["made"] == 6


async def test_build_begins_with_what_was_looked_at_last_then_with_the_newest(at: Desk) -> None:
    await run(at, await yielded(at, CacheBuildParams(batch=2)))
    by_path = {item.facts.path: item for item in at.library.rows.values()}
    by_path["1.jpg"].viewed_at.seconds = 1_700_001_000
    by_path["2.jpg"].viewed_at.seconds = 1_700_002_000
    chunks = await yielded(at, CacheBuildParams(batch=2))
    named = [CacheBuildParams.model_validate_json(chunk.params_json).item_ids for chunk in chunks]
    paths = [[at.library.rows[str(one)].facts.path for one in ids] for ids in named]
    assert paths == [["2.jpg", "1.jpg"], ["sub/5.jpg", "sub/4.jpg"], ["3.jpg", "0.jpg"]]


async def test_build_of_a_folder_leaves_the_others_alone(at: Desk) -> None:
    outcome = await built(at, CacheBuildParams(path="sub"))
    assert (outcome.result["files"], outcome.result["made"]) == (2, 2)


async def test_sizes_formats_and_kinds_are_as_wished(at: Desk) -> None:
    params = CacheBuildParams(
        path="sub", kinds=(DerivativeKind.THUMBNAIL,), boxes=(64, 200), format=PictureFormat.WEBP
    )
    await built(at, params)
    made = {one.facts.recipe: one.facts for one in at.library.at("sub/4.jpg").derivatives if one.facts.path}
    assert set(made) == {"box64-webp-v1", "box200-webp-v1"}
    for recipe, size in (("box64-webp-v1", (64, 40)), ("box200-webp-v1", (200, 125))):
        assert made[recipe].media_type == "image/webp"
        with Image.open(at.derivatives / made[recipe].path) as image:
            assert (image.format, image.size, corners(image)) == ("WEBP", size, "RGBW")
    assert (await built(at, params)).result["jobs"] == 0


async def test_chunk_has_no_more_items_than_its_rows_fit_one_result(at: Desk) -> None:
    await run(at, await yielded(at, CacheBuildParams()))
    row = at.library.at("0.jpg")
    for _ in range(300):
        copy = type(row)()
        copy.CopyFrom(row)
        copy.id = str(uuid.uuid4())
        at.library.rows[copy.id] = copy
    boxes = tuple(range(100, 108))
    chunks = await yielded(at, CacheBuildParams(batch=200, boxes=boxes, kinds=tuple(DerivativeKind)))
    sizes = [len(CacheBuildParams.model_validate_json(job.params_json).item_ids) for job in chunks]
    assert (max(sizes), sum(sizes)) == (1000 // 12, 306)


async def test_chunk_that_was_lost_is_told_and_the_build_completes(at: Desk) -> None:
    params = CacheBuildParams(batch=3)
    await run(at, await yielded(at, params))
    first, _ = await yielded(at, params)
    await run(at, [first])
    at.queue.finished.append(Job(type="cache_build", state=JobState.JOB_STATE_FAILED, error="no luck"))
    outcome = await CacheBuild().process(params, at.context())
    assert isinstance(outcome, Outcome)
    assert (outcome.result["made"], outcome.result["jobsLost"]) == (3, 1)
    assert "the next build does their part" in at.diary.text


async def test_sweep_keeps_what_rows_point_at_and_what_is_young(at: Desk, tmp_path: Path) -> None:
    await built(at, CacheBuildParams())
    (tmp_path / "library" / "0.jpg").unlink()
    quadrants(320, 200).save(tmp_path / "library" / "1.jpg")
    await built(at, CacheBuildParams())
    gone, changed = at.library.at("0.jpg").id, at.library.at("1.jpg").id
    outcome = await CacheSweep().process(CacheSweepParams(), at.context())
    assert (outcome.result["removed"], outcome.result["young"], outcome.result["missing"]) == (0, 4, 1)
    outcome = await CacheSweep().process(CacheSweepParams(min_age_s=0), at.context())
    assert (outcome.result["files"], outcome.result["removed"]) == (14, 4)
    assert not [path for path in at.files() if gone in path]
    assert len([path for path in at.files() if changed in path]) == 2
    pointed = {
        one.facts.path for item in at.library.rows.values() for one in item.derivatives if one.facts.path
    }
    assert set(at.files()) == pointed


async def test_sweep_of_a_root_that_is_only_read_is_refused(at: Desk) -> None:
    read_only = Roots({name: RootSettings(path=folder_of(root)) for name, root in at.roots.items()})
    with pytest.raises(BadInputError, match="read-only"):
        await CacheSweep().process(CacheSweepParams(), replace(at.context(), roots=read_only))
