"""Digests and highlights of videos whose scenes are known: what is shown, what is left out, what goes on."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from callsheet_gpu_worker.processors.digest_generate import DigestGenerate
from callsheet_gpu_worker.processors.highlight_generate import HighlightGenerate

from callsheet.errors import BadInputError
from callsheet.reel_params import DigestGenerateParams, HighlightGenerateParams
from callsheet.v1.library_service_pb2 import ItemState
from callsheet.worker.processor import BrokenMediaError, Outcome
from callsheet.worker.stopping import PausedHereError
from tests.support.attempts import Desk, Pausing, library, scanned
from tests.support.media import film, rotated_video
from tests.support.programmes import MOVING, STILL, Scene, programme
from tests.support.videos import index_in_front, picture_at, seen


async def digest(place: Desk, path: str, **wishes: object) -> Outcome:
    item = await scanned(place, path)
    params = DigestGenerateParams.model_validate({"videoId": item.id, **wishes})
    outcome = await DigestGenerate().process(params, place.context())
    place.library.take(outcome)
    return outcome


async def highlights(place: Desk, path: str, **wishes: object) -> Outcome:
    item = await scanned(place, path)
    params = HighlightGenerateParams.model_validate({"videoId": item.id, **wishes})
    outcome = await HighlightGenerate().process(params, place.context())
    place.library.take(outcome)
    return outcome


def parts(outcome: Outcome) -> list[tuple[float, float]]:
    said = json.loads(json.dumps(outcome.result["parts"]))
    return [(one["start"], one["duration"]) for one in said]


def colours(path: Path, rate: int = 25) -> list[str]:
    """Return what the middle of each second looks like."""
    names: list[str] = []
    count = len(seen(path).instants)
    for number in range(rate // 2, count, rate):
        pixels = np.asarray(picture_at(path, number)[0]).astype(int)
        mean = pixels.reshape(-1, 3).mean(axis=0)
        spread = pixels.reshape(-1, 3).std(axis=0).max()
        names.append("many" if spread > 40 else "rgb"[int(mean.argmax())] if mean.max() > 60 else "black")
    return names


async def acts(place: Desk) -> None:
    """Put a video of half a minute into the library, of which some is black, some stands still."""
    programme(
        library(place) / "acts.mp4",
        Scene(seconds=6, picture="red", volume=0.05),
        Scene(seconds=6, picture="black"),
        Scene(seconds=6, picture=MOVING, volume=0.6),
        Scene(seconds=6, picture=STILL),
        Scene(seconds=6, picture=MOVING, volume=0.3),
    )


async def test_digest_tells_the_video_in_the_time_asked_without_black(place: Desk) -> None:
    await acts(place)

    outcome = await digest(place, "acts.mp4", targetLength=8, includeHighlights=False)
    path = place.output_of(outcome)
    made = seen(path)

    assert made.codecs == ("h264", "aac")
    assert made.size == (320, 180)
    assert len(made.instants) == 8 * 25
    assert made.sound_s == pytest.approx(8, abs=0.1)
    assert index_in_front(path)
    assert "black" not in colours(path)
    assert sum(length for _, length in parts(outcome)) == pytest.approx(8)
    assert [start for start, _ in parts(outcome)] == sorted(start for start, _ in parts(outcome))


async def test_digest_is_an_item_that_says_what_it_is_made_of(place: Desk) -> None:
    await acts(place)

    outcome = await digest(place, "acts.mp4", targetLength=8)
    (row,) = outcome.items
    extra = json.loads(row.extra_json)
    with av.open(place.output_of(outcome)) as container:
        titles = [str(chapter["metadata"]["title"]) for chapter in container.chapters()]

    assert extra["parts"] == outcome.result["parts"]
    assert extra["sources"] == [place.library.at("acts.mp4").id]
    assert [one.kind for one in outcome.derivatives] == ["digest"]
    assert titles == [f"0:{int(start):02d}" for start, _ in parts(outcome)]
    assert place.kept() == [outcome.result["outputPath"]]
    assert place.diary.percents == sorted(place.diary.percents)
    assert "FFmpeg command: ffmpeg " in place.diary.text


async def test_highlights_are_where_it_moves_and_is_loud(place: Desk) -> None:
    await acts(place)

    outcome = await highlights(place, "acts.mp4", count=2, clipLength=3, spacing=4)
    path = place.output_of(outcome)

    (one, _), (two, _) = parts(outcome)
    assert 12 <= one <= 15
    assert 24 <= two <= 27
    assert colours(path) == ["many"] * 6
    assert len(seen(path).instants) == 6 * 25


async def test_length_of_all_highlights_decides_how_many_there_are(place: Desk) -> None:
    await acts(place)

    outcome = await highlights(place, "acts.mp4", targetLength=7, clipLength=2, spacing=0)

    assert [length for _, length in parts(outcome)] == [2, 2, 2]


async def test_short_video_that_plays_everywhere_is_copied_as_a_whole(place: Desk) -> None:
    film(library(place) / "short.mp4", seconds=1)

    outcome = await digest(place, "short.mp4", targetLength=60)

    assert outcome.result["encoder"] == "copy"
    assert seen(place.output_of(outcome)).instants == seen(library(place) / "short.mp4").instants
    assert parts(outcome) == [(0, 1)]


async def test_short_video_of_another_codec_is_encoded_as_a_whole(place: Desk) -> None:
    film(library(place) / "short.mkv", seconds=1, codec=("-c:v", "mpeg4"), sound=False)

    for outcome in (await digest(place, "short.mkv"), await highlights(place, "short.mkv")):
        made = seen(place.output_of(outcome))
        assert made.codecs == ("h264", "aac")
        assert len(made.instants) == 25
        assert made.sound_s == pytest.approx(1, abs=0.05)


async def test_silent_video_is_told_by_what_moves(place: Desk) -> None:
    programme(
        library(place) / "silent.mkv",
        *(Scene(seconds=8, picture=one) for one in (STILL, MOVING, STILL)),
        sound=False,
        rate="24000/1001",
        codec=("-c:v", "mpeg4", "-q:v", "3"),
    )

    outcome = await highlights(place, "silent.mkv", count=1, clipLength=4)
    ((start, _),) = parts(outcome)
    made = seen(place.output_of(outcome))

    assert 8 <= start <= 12.1
    assert len(made.instants) == 96
    assert made.instants[-1] == pytest.approx(95 * 1001 / 24000, abs=0.01)


async def test_video_without_motion_is_told_all_the_same(place: Desk) -> None:
    programme(library(place) / "still.mp4", Scene(seconds=20, picture=STILL), sound=False)

    outcome = await digest(place, "still.mp4", targetLength=8)

    assert len(seen(place.output_of(outcome)).instants) == 200


async def test_portrait_stays_a_portrait_of_at_most_720_pixels(place: Desk) -> None:
    programme(
        library(place) / "tall.mp4",
        Scene(seconds=4),
        Scene(seconds=4, picture="red"),
        size="810x1440",
        rate="10",
    )

    made = seen(place.output_of(await digest(place, "tall.mp4", targetLength=2)))

    assert made.size == (720, 1280)
    assert len(made.instants) == 20


async def test_same_wish_is_completed_at_once_and_another_is_not(place: Desk) -> None:
    await acts(place)
    first = await digest(place, "acts.mp4", targetLength=4)

    again = await digest(place, "acts.mp4", targetLength=4)
    other = await digest(place, "acts.mp4", targetLength=4, includeHighlights=False)

    assert (again.result["cached"], again.result["outputPath"]) == (True, first.result["outputPath"])
    assert other.result["cached"] is False


async def test_paused_digest_goes_on_with_its_measurement_and_its_clips(place: Desk) -> None:
    await acts(place)
    item = await scanned(place, "acts.mp4")
    params = DigestGenerateParams.model_validate({"videoId": item.id, "targetLength": 8})

    for kept, commands in enumerate((0, 1), 1):
        context = place.context()
        context.report = Pausing(context.stop, commands)
        with pytest.raises(PausedHereError):
            await DigestGenerate().process(params, context)
        assert len(place.kept()) == kept
    outcome = await digest(place, "acts.mp4", targetLength=8)

    assert "1 of 1 parts were measured before." in place.diary.text
    assert "2 clips, of which 1 are done." in place.diary.text
    assert place.kept() == [outcome.result["outputPath"]]


async def test_output_lies_where_it_is_asked_for(place: Desk) -> None:
    rotated_video(library(place) / "turned.mp4", 90)

    item = await scanned(place, "turned.mp4")
    params = DigestGenerateParams.model_validate(
        {"inputPath": "turned.mp4", "outputPath": "digests/turned.mp4"}
    )
    context = place.context()
    outcome = await DigestGenerate().process(params, context)

    assert outcome.result["outputPath"] == "digests/turned.mp4"
    assert [one.path for one in context.outputs] == ["digests/turned.mp4"]
    assert outcome.derivatives[0].item_id == item.id
    with pytest.raises(BadInputError, match=r"outputPath: .* must end in \.mp4"):
        await digest(place, "turned.mp4", outputPath="digests/turned.mkv")


async def test_broken_video_is_marked_and_what_is_no_video_is_refused(place: Desk) -> None:
    film(library(place) / "cut.mkv", seconds=4)
    item = await scanned(place, "cut.mkv")
    content = (library(place) / "cut.mkv").read_bytes()
    (library(place) / "cut.mkv").write_bytes(content[:700] + bytes(len(content) - 700))
    params = DigestGenerateParams.model_validate({"videoId": item.id})

    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await DigestGenerate().process(params, place.context())
    again = await scanned(place, "cut.mkv")
    if again.facts.state == ItemState.ITEM_STATE_OK:
        with pytest.raises(BrokenMediaError):
            await DigestGenerate().process(params, place.context())
    else:
        with pytest.raises(BadInputError, match="is broken"):
            await DigestGenerate().process(params, place.context())
    with pytest.raises(BadInputError, match="videoId: name an item by videoId or inputPath"):
        await DigestGenerate().process(DigestGenerateParams(), place.context())
