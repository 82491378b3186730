"""Clips of real files: given parts and those of a digest, copied at keyframes or cut at their very frames."""

import json
from pathlib import Path
from typing import Any

import pytest
from callsheet_gpu_worker.processors.clip_generate import ClipGenerate
from callsheet_gpu_worker.processors.digest_generate import DigestGenerate

from callsheet.errors import BadInputError
from callsheet.reel_params import ClipGenerateParams, DigestGenerateParams
from callsheet.worker.processor import Outcome
from callsheet.worker.stopping import PausedHereError
from tests.support.attempts import Desk, Pausing, library, scanned
from tests.support.media import corners, film, rotated_video
from tests.support.programmes import MOVING, Scene, programme
from tests.support.videos import index_in_front, picture_at, seen

COLOURS = {"red": (1, 0, 0), "lime": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1)}


async def rainbow(place: Desk, *, name: str = "rainbow.mp4", gop: int = 25, sound: bool = True) -> None:
    """Put a video into the library of which every colour lasts two seconds, with a tone."""
    scenes = (Scene(seconds=2, picture=one, volume=0.3) for one in COLOURS)
    programme(library(place) / name, *scenes, gop=gop, sound=sound)
    await scanned(place, name)


async def clipped(place: Desk, path: str, *ranges: tuple[float, float], **wishes: object) -> Outcome:
    given = [{"start": start, "end": end} for start, end in ranges]
    params = ClipGenerateParams.model_validate({"inputPath": path, "ranges": given, **wishes})
    outcome = await ClipGenerate().process(params, place.context())
    place.library.take(outcome)
    return outcome


def said(outcome: Outcome) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(json.dumps(outcome.result["clips"]))
    return found


def files(place: Desk, outcome: Outcome) -> list[Path]:
    return [place.outputs / one["outputPath"] for one in said(outcome)]


def colour(path: Path, number: int) -> str:
    image = picture_at(path, number)[0]
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return next(name for name, wanted in COLOURS.items() if wanted == tuple(int(one > 128) for one in pixel))


async def test_exact_clips_begin_and_end_at_their_very_frames(place: Desk) -> None:
    await rainbow(place, gop=1000)

    outcome = await clipped(place, "rainbow.mp4", (1.8, 4.2), (7, 7.4), exact=True)
    one, two = files(place, outcome)

    assert len(seen(one).instants) == 60
    assert [colour(one, number) for number in (0, 4, 5, 54, 55, 59)] == [
        "red", "red", "lime", "lime", "blue", "blue",
    ]  # fmt: skip
    assert (len(seen(two).instants), colour(two, 0)) == (10, "yellow")
    assert seen(one).sound_s == pytest.approx(2.4, abs=0.05)
    assert seen(one).codecs == ("h264", "aac")
    assert index_in_front(one)


async def test_each_clip_is_an_item_that_names_its_source_and_its_part(place: Desk) -> None:
    await rainbow(place)

    outcome = await clipped(place, "rainbow.mp4", (0, 2), (4, 6))
    source = place.library.at("rainbow.mp4")
    extras = [json.loads(row.extra_json) for row in outcome.items]

    assert len({row.path for row in outcome.items}) == 2
    assert [extra["sources"] for extra in extras] == [[source.id]] * 2
    assert [extra["parts"][0]["start"] for extra in extras] == pytest.approx([0, 4], abs=0.01)
    assert [one.facts.kind for one in source.derivatives] == ["clip", "clip"]
    assert sorted(row.path for row in outcome.items) == place.kept()
    assert place.diary.percents == sorted(place.diary.percents)


async def test_copied_clip_reaches_from_the_keyframe_before_to_the_keyframe_behind(place: Desk) -> None:
    await rainbow(place, gop=25)

    outcome = await clipped(place, "rainbow.mp4", (2.5, 3.5))
    (path,) = files(place, outcome)
    made = seen(path)

    assert said(outcome)[0]["encoder"] == "copy"
    assert len(made.instants) == 50
    assert (colour(path, 0), colour(path, 40)) == ("lime", "lime")
    assert made.keyframes[0] == 0
    assert made.sound_s == pytest.approx(2, abs=0.1)
    assert index_in_front(path)


async def test_copied_clips_of_a_matroska_with_other_frames_between(place: Desk) -> None:
    codec = ("-c:v", "libx264", "-preset", "medium", "-bf", "3", "-pix_fmt", "yuv420p", "-c:a", "aac")
    scenes = (Scene(seconds=2, picture=one, volume=0.3) for one in COLOURS)
    programme(library(place) / "a.mkv", *scenes, gop=50, codec=codec)
    await scanned(place, "a.mkv")

    outcome = await clipped(place, "a.mkv", (4.1, 4.3), (9, 60))

    one, two = files(place, outcome)
    assert [clip["encoder"] for clip in said(outcome)] == ["copy", "copy"]
    assert [len(seen(path).instants) for path in (one, two)] == [50, 50]
    assert {colour(one, number) for number in range(50)} == {"blue"}
    assert {colour(two, number) for number in (0, 48)} == {"cyan"}


async def test_copied_clip_of_open_groups_of_pictures_shows_nothing_from_behind_its_end(place: Desk) -> None:
    codec = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "open-gop=1:bframes=3:b-adapt=0")
    scenes = (Scene(seconds=2, picture=one, volume=0.3) for one in COLOURS)
    programme(library(place) / "open.mp4", *scenes, gop=50, codec=codec)
    await scanned(place, "open.mp4")

    (path,) = files(place, await clipped(place, "open.mp4", (2.5, 5)))
    shown = [colour(path, number) for number in range(len(seen(path).instants))]

    assert set(shown) <= {"lime", "blue"}
    assert len(shown) == pytest.approx(100, abs=6)


async def test_what_an_mp4_cannot_hold_is_encoded(place: Desk) -> None:
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")
    film(library(place) / "card.webm", seconds=3, codec=vp8, sound=False)
    await scanned(place, "card.webm")

    outcome = await clipped(place, "card.webm", (1, 2))

    assert said(outcome)[0]["encoder"] == "libx264"
    assert "cannot be copied into an MP4" in place.diary.text
    assert len(seen(files(place, outcome)[0]).instants) == 25


async def test_copied_clip_of_a_turned_video_stays_turned(place: Desk) -> None:
    rotated_video(library(place) / "turned.mp4", 90)
    await scanned(place, "turned.mp4")

    copied = await clipped(place, "turned.mp4", (0, 1))
    exact = await clipped(place, "turned.mp4", (0, 0.5), exact=True)
    image, turn = picture_at(files(place, copied)[0], 0)

    assert corners(image.rotate(turn, expand=True)) == "RGBW"
    assert corners(picture_at(files(place, exact)[0], 0)[0]) == "RGBW"


async def test_clips_of_a_digest_are_the_best_of_its_parts_cut_out_of_its_source(place: Desk) -> None:
    scenes = (Scene(seconds=5, picture=one, volume=0.3) for one in ("red", MOVING, "lime", MOVING))
    programme(library(place) / "film.mp4", *scenes)
    item = await scanned(place, "film.mp4")
    wish = DigestGenerateParams.model_validate({"videoId": item.id, "targetLength": 12})
    digest = await DigestGenerate().process(wish, place.context())
    place.library.take(digest)
    row = place.library.at(str(digest.result["outputPath"]))
    parts = json.loads(row.facts.extra_json)["parts"]

    params = ClipGenerateParams.model_validate({"videoId": row.id, "count": 2, "exact": True})
    outcome = await ClipGenerate().process(params, place.context())
    place.library.take(outcome)

    best = sorted(parts, key=lambda one: -one["score"])[:2]
    assert outcome.result["videoId"] == item.id
    assert sorted(one["start"] for one in said(outcome)) == sorted(one["start"] for one in best)
    assert {one.item_id for one in outcome.derivatives} == {item.id}
    for path, one in zip(files(place, outcome), said(outcome), strict=True):
        assert len(seen(path).instants) == round(one["duration"] * 25)


async def test_clips_that_are_there_are_not_made_again(place: Desk) -> None:
    await rainbow(place)
    first = await clipped(place, "rainbow.mp4", (0, 1), (4, 5), exact=True)

    again = await clipped(place, "rainbow.mp4", (0, 1), (4, 5), exact=True)
    more = await clipped(place, "rainbow.mp4", (4, 5), (6, 7), exact=True)

    assert again.result["cached"] is True
    assert not again.items
    assert files(place, again) == files(place, first)
    assert [one["cached"] for one in said(more)] == [True, False]
    assert place.diary.text.count("FFmpeg command") == 2


async def test_several_outputs_that_are_asked_for_by_path_get_numbers(place: Desk) -> None:
    await rainbow(place)

    for ranges, paths in (
        ([(0, 1), (4, 5)], ["clips/a-1.mp4", "clips/a-2.mp4"]),
        ([(0, 1)], ["clips/a.mp4"]),
    ):
        context = place.context()
        given = [{"start": start, "end": end} for start, end in ranges]
        params = ClipGenerateParams.model_validate(
            {"inputPath": "rainbow.mp4", "ranges": given, "outputPath": "clips/a.mp4"}
        )
        outcome = await ClipGenerate().process(params, context)
        assert [one.path for one in context.outputs] == paths
        assert [one["outputPath"] for one in said(outcome)] == paths


async def test_paused_clips_go_on_with_those_that_are_encoded(place: Desk) -> None:
    await rainbow(place)
    given = [{"start": one, "end": one + 1} for one in range(3)]
    params = ClipGenerateParams.model_validate({"inputPath": "rainbow.mp4", "ranges": given, "exact": True})
    context = place.context()
    context.report = Pausing(context.stop, 2)
    with pytest.raises(PausedHereError):
        await ClipGenerate().process(params, context)
    assert len(place.kept()) == 2

    outcome = await ClipGenerate().process(params, place.context())

    assert "3 clips, of which 2 are done." in place.diary.text
    assert sorted(row.path for row in outcome.items) == place.kept()


async def test_parts_that_are_not_there_are_refused_by_their_number(place: Desk) -> None:
    await rainbow(place)

    with pytest.raises(BadInputError, match=r"ranges\[1\]: there is nothing at 30 s of rainbow.mp4"):
        await clipped(place, "rainbow.mp4", (0, 1), (30, 40))
    with pytest.raises(BadInputError, match=r"ranges\[0\]: ends at 1 s, not behind its start at 2 s"):
        await clipped(place, "rainbow.mp4", (2, 1))
    with pytest.raises(BadInputError, match=r"ranges: rainbow.mp4 is no digest"):
        await clipped(place, "rainbow.mp4")


async def test_silent_clip_of_a_silent_video_is_copied_silent(place: Desk) -> None:
    await rainbow(place, sound=False)

    assert seen(files(place, await clipped(place, "rainbow.mp4", (0, 2)))[0]).codecs == ("h264",)
