"""Random compilations of real files: what is chosen, how it is joined, what a bad clip does."""

import json
from itertools import pairwise

import av
import pytest
from callsheet_gpu_worker.processors.compile_random import CompileRandom
from PIL import Image

from callsheet.errors import BadInputError
from callsheet.media.compilation import Candidate, Clip, CompilationWish, chapters, choose, fitted
from callsheet.reel_params import CompileRandomParams
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.processor import Outcome
from callsheet.worker.stopping import PausedHereError
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import Desk, library, scanned
from tests.support.media import ffmpeg
from tests.support.videos import index_in_front, picture_at, seen

COLOURS = {"red": (1, 0, 0), "lime": (0, 1, 0), "blue": (0, 0, 1)}


async def colours(place: Desk) -> dict[str, Item]:
    """Put three videos of one colour each into the library: other codecs, sizes, rates; one is silent."""
    for name, size, rate, sound in (
        ("red", "320x180", "25", True),
        ("lime", "180x320", "24000/1001", False),
        ("blue", "160x160", "50", True),
    ):
        tone = ("-f", "lavfi", "-i", "sine=sample_rate=44100:duration=1.5") if sound else ()
        picture = f"color=c={name}:size={size}:rate={rate}:duration=1.5"
        ffmpeg(
            "-f", "lavfi", "-i", picture, *tone, "-c:v", "libx264", "-preset", "ultrafast",
            "-pix_fmt", "yuv420p", str(library(place) / f"{name}.mp4"),
        )  # fmt: skip
    return {name: await scanned(place, f"{name}.mp4") for name in COLOURS}


async def compiled(place: Desk, **wishes: object) -> Outcome:
    params = CompileRandomParams.model_validate({"seed": "s", **wishes})
    outcome = await CompileRandom().process(params, place.context())
    place.library.take(outcome)
    return outcome


def colour_of(image: Image.Image) -> str:
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    bright = tuple(int(value > 128) for value in pixel)
    return next(name for name, wanted in COLOURS.items() if wanted == bright)


async def test_clips_of_every_kind_are_joined_in_one_shape_with_chapters(place: Desk) -> None:
    items = await colours(place)

    outcome = await compiled(place)
    path = place.output_of(outcome)
    made = seen(path)
    with av.open(path) as container:
        titles = [str(chapter["metadata"]["title"]) for chapter in container.chapters()]
    order = [next(name for name, item in items.items() if item.id == one) for one in _ids(outcome)]

    assert made.codecs == ("h264", "aac")
    assert made.size == (1280, 720)
    assert len(made.instants) == 3 * 45
    assert all(after - before == pytest.approx(1 / 30, abs=1e-4) for before, after in pairwise(made.instants))
    assert made.sound_s == pytest.approx(4.5, abs=0.05)
    assert titles == [f"{name}.mp4" for name in order]
    assert [colour_of(picture_at(path, number)[0]) for number in (20, 65, 110)] == order
    assert index_in_front(path)
    assert place.kept() == [outcome.result["outputPath"]]


async def test_compilation_is_an_item_that_names_its_sources(place: Desk) -> None:
    await colours(place)

    outcome = await compiled(place)
    (row,) = outcome.items

    assert (row.root, row.path) == ("outputs", outcome.result["outputPath"])
    assert json.loads(row.extra_json)["sources"] == outcome.result["videoIds"]
    assert [one.kind for one in outcome.derivatives] == ["compilation"]


async def test_same_seed_over_the_same_library_is_completed_at_once(place: Desk) -> None:
    await colours(place)
    first = await compiled(place, count=2)

    again = await compiled(place, count=2)

    assert again.result["cached"] is True
    assert again.result["outputPath"] == first.result["outputPath"]


async def test_portraits_alone_make_a_portrait(place: Desk) -> None:
    items = await colours(place)

    outcome = await compiled(place, orientation="portrait", clipLength=0.5)
    made = seen(place.output_of(outcome))

    assert outcome.result["videoIds"] == [items["lime"].id]
    assert made.size == (720, 1280)
    assert len(made.instants) == 15


async def test_bad_clip_is_dropped_and_listed(place: Desk) -> None:
    items = await colours(place)
    (library(place) / "red.mp4").write_bytes((library(place) / "blue.mp4").read_bytes()[:3000])

    outcome = await compiled(place)

    assert set(_ids(outcome)) == {items["lime"].id, items["blue"].id}
    (dropped,) = json.loads(json.dumps(outcome.result["dropped"]))
    assert dropped["videoId"] == items["red"].id
    assert "changed since it was scanned" in dropped["reason"]
    assert len(seen(place.output_of(outcome)).instants) == 90


async def test_nothing_that_fits_says_what_to_ask_for(place: Desk) -> None:
    await colours(place)

    with pytest.raises(BadInputError, match="none of 3 videos fits"):
        await compiled(place, minDuration=60)
    with pytest.raises(BadInputError, match="minDuration"):
        await compiled(place, minDuration=60, maxDuration=30)


async def test_paused_compilation_goes_on_with_the_clips_it_has(place: Desk) -> None:
    await colours(place)
    context = place.context()
    context.stop.ask(StopReason.PAUSED, begun=True)
    with pytest.raises(PausedHereError):
        await CompileRandom().process(CompileRandomParams(seed="s"), context)
    clips = place.kept()

    outcome = await compiled(place)

    assert len(clips) == 1
    assert clips[0].endswith(".kept")
    assert "3 clips, of which 1 are done." in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 3
    assert len(seen(place.output_of(outcome)).instants) == 135


def test_choice_depends_on_the_seed_alone() -> None:
    some = [Candidate(item_id=str(one), duration_s=one, width=2, height=1) for one in range(50)]
    wish = CompilationWish(count=10, min_duration_s=5, max_duration_s=40, seed="a")
    chosen = choose(some, wish)

    assert choose(list(reversed(some)), wish) == chosen
    assert choose(some, CompilationWish(count=10, min_duration_s=5, max_duration_s=40, seed="b")) != chosen
    assert len(chosen) == 10
    assert all(5 <= one.duration_s <= 40 for one in chosen)


@pytest.mark.parametrize(
    ("size", "made"), [((1920, 1080), (1280, 720)), ((1080, 1920), (404, 720)), ((1, 9000), (2, 720))]
)
def test_frames_fit_into_the_common_size(size: tuple[int, int], made: tuple[int, int]) -> None:
    assert fitted(*size, (1280, 720)) == made


def test_titles_of_chapters_cannot_break_the_list() -> None:
    text = chapters([("a=b;c#d\\e\n[CHAPTER]", Clip(start_s=0, frames=30))])

    assert "title=a\\=b\\;c\\#d\\\\e\\\n[CHAPTER]" in text
    assert "START=0\nEND=30" in text


def _ids(outcome: Outcome) -> list[str]:
    ids = outcome.result["videoIds"]
    assert isinstance(ids, list)
    return [str(one) for one in ids]
