"""What new jobs are charged with: learned, never below what was asked, never above the largest card."""

import json
from dataclasses import replace

import pytest
from callsheet_scheduler.domain.device import Card, DeviceId
from callsheet_scheduler.domain.footprint import RUNS_TO_PROPOSE, media_size
from callsheet_scheduler.domain.job import LiveJob
from callsheet_scheduler.use_cases.job_types import JobTypes
from hypothesis import given
from hypothesis import strategies as st

from callsheet.catalog import Category
from callsheet.params import SIZE_MARK
from tests.support.engines import START, Drive, new_job
from tests.support.job_types import NOOP

MARGIN_MIB = 512
mib = st.integers(1, 40_000)


def gpu_job(drive: Drive, vram_mib: int) -> LiveJob:
    return new_job(drive.engine, category=Category.GPU_AI, vram_mib=vram_mib)


def taught(peak_mib: int, *, given_mib: int, largest_mib: int) -> Drive:
    """Return an engine that knows a card of this size, and jobs that hold so much."""
    drive = Drive()
    card = Card(id=DeviceId("GPU-a"), index=0, name="card", memory_mib=largest_mib + MARGIN_MIB)
    drive.hello(cards=[card])
    for _ in range(RUNS_TO_PROPOSE):
        drive.engine.footprints.completed(gpu_job(drive, given_mib), 1.0, peak_mib)
    return drive


@given(declared_mib=mib, peak_mib=mib, largest_mib=mib, asked=st.booleans())
def test_charge_is_between_what_was_asked_and_what_there_is(
    declared_mib: int, peak_mib: int, largest_mib: int, *, asked: bool
) -> None:
    drive = taught(peak_mib, given_mib=peak_mib, largest_mib=largest_mib)
    job = gpu_job(drive, declared_mib)

    charged_mib = drive.engine.learned_mib(job, START, asked=asked)

    assert charged_mib >= declared_mib or not asked
    assert charged_mib <= max(declared_mib, largest_mib)
    assert charged_mib >= min(peak_mib, max(declared_mib, largest_mib))


def test_less_than_declared_is_charged_where_nobody_asked_for_more() -> None:
    drive = taught(1_000, given_mib=8_000, largest_mib=16_000)
    job = gpu_job(drive, 8_000)

    assert drive.engine.learned_mib(job, START, asked=False) == 1_152
    assert drive.engine.learned_mib(job, START, asked=True) == 8_000


def test_nothing_changes_while_too_little_is_known() -> None:
    drive = Drive()
    assert drive.engine.learned_mib(gpu_job(drive, 900), START, asked=False) == 900


def test_larger_card_counts_soon_after_it_came() -> None:
    drive = taught(12_000, given_mib=16_000, largest_mib=4_000)
    job = gpu_job(drive, 2_000)
    assert drive.engine.learned_mib(job, START, asked=False) == 4_000

    card = Card(id=DeviceId("GPU-b"), index=1, name="card", memory_mib=24_000)
    drive.hello("w2", session=2, cards=[card])

    assert drive.engine.learned_mib(job, START + 10, asked=False) == 13_312


def test_parameter_that_is_marked_decides_the_size_class() -> None:
    types = JobTypes()
    marked = {"properties": {"seconds": {SIZE_MARK: True}, "files": {}}}
    types.learn(replace(NOOP, name="cut", params_schema=json.dumps(marked)))

    def size_class(params: str) -> int | None:
        return types.check_params("cut", params, field="params").size_class

    assert size_class('{"seconds": 100}') == 7
    assert size_class('{"seconds": 64.0}') == 7
    assert size_class('{"seconds": 1e999}') == 61
    assert size_class('{"seconds": ["a", "b"]}') == 2
    assert size_class('{"seconds": true}') is None
    assert size_class('{"files": 7}') is None


def test_derivatives_are_classed_by_how_many_items_they_are_of() -> None:
    ids = ", ".join(f'"01890a5d-ac96-774b-bcce-b302099a80{number:02}"' for number in range(20))
    checked = JobTypes().check_params("derivatives_generate", f'{{"itemIds": [{ids}]}}', field="params")
    assert checked.size_class == 5


@pytest.mark.parametrize(
    ("name", "params", "item"),
    [
        ("reencode_streaming", '{"videoId": "x"}', "x"),
        ("tag_generation", '{"inputPath": "a"}', ("library", "a")),
        ("digest_generate", '{"inputPath": "a", "root": "b", "targetLength": 9}', ("b", "a")),
        ("highlight_generate", "{}", None),
        ("scene_extract", "no JSON", None),
        ("scene_extract", '{"inputPath": "a\\u0000"}', None),
        ("scene_extract", '{"inputPath": "a\\ud800"}', None),
        ("clip_generate", '{"videoId": "x"}', None),
        ("scan", '{"videoId": "x"}', None),
    ],
)
def test_item_decides_the_size_of_jobs_of_one_video(name: str, params: str, item: object) -> None:
    assert JobTypes().sizing_item(name, params) == item


def test_media_are_as_large_as_their_pixels_and_their_length() -> None:
    assert media_size(60, 1000, 2000) == 120
    assert media_size(0, 1000, 2000) == 2
    assert media_size(60, 0, 0) == 60
    assert media_size(0, 0, 0) == 1
