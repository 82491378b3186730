"""Grids of real files: what lies where, what is frozen, black or heard."""

import json
import uuid
from pathlib import Path

import av
import numpy as np
import pytest
from callsheet_gpu_worker.processors.compile_quad import CompileQuad
from PIL import Image

from callsheet.errors import BadInputError
from callsheet.media.grids import tile_size
from callsheet.reel_params import CompileQuadParams
from callsheet.v1.library_service_pb2 import Item
from callsheet.worker.processor import BrokenMediaError, Outcome
from callsheet.worker.stopping import PausedHereError
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import Desk, library, scanned
from tests.support.media import ffmpeg
from tests.support.videos import index_in_front, picture_at, seen

#: Name, size, rate, seconds, the frequency of its tone.
VIDEOS = {
    "red": ("320x180", "25", 1.5, 400),
    "lime": ("180x320", "24000/1001", 1.0, 0),
    "blue": ("160x160", "50", 0.5, 1500),
    "white": ("640x360", "30", 1.0, 0),
}
#: How loud one of the tones is in the mix: made at an eighth, halved, one channel spread over two.
TONE = 0.125 / 2 / 2**0.5
LETTERS = {"100": "R", "010": "G", "001": "B", "111": "W", "000": "-"}


async def four(place: Desk) -> list[Item]:
    """Put four videos of one colour each into the library: other sizes, rates, lengths; two are silent."""
    for name, (size, rate, seconds, pitch) in VIDEOS.items():
        tone = ("-f", "lavfi", "-i", f"sine=frequency={pitch}:sample_rate=44100:duration={seconds}")
        ffmpeg(
            "-f", "lavfi", "-i", f"color=c={name}:size={size}:rate={rate}:duration={seconds}",
            *(tone if pitch else ()), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
            str(library(place) / f"{name}.mp4"),
        )  # fmt: skip
    return [await scanned(place, f"{name}.mp4") for name in VIDEOS]


async def compiled(place: Desk, **wishes: object) -> Outcome:
    params = CompileQuadParams.model_validate({"seed": "s", **wishes})
    outcome = await CompileQuad().process(params, place.context())
    place.library.take(outcome)
    return outcome


def colours(image: Image.Image) -> str:
    """Return the colours in the middle of the four tiles, in reading order."""
    found = ""
    for across, down in ((1, 1), (3, 1), (1, 3), (3, 3)):
        pixel = image.getpixel((image.width * across // 4, image.height * down // 4))
        assert isinstance(pixel, tuple)
        found += LETTERS["".join("1" if value > 128 else "0" for value in pixel[:3])]
    return found


def loudness(path: Path, pitch: int, begin_s: float, end_s: float) -> float:
    """Return how strong a tone is in a stretch of the sound, full scale being 1."""
    with av.open(path) as container:
        rate = container.streams.audio[0].rate
        parts = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    sound = np.concatenate(parts)[int(begin_s * rate) : int(end_s * rate)]
    spectrum = np.abs(np.fft.rfft(sound)) * 2 / len(sound)
    near = round(pitch * len(sound) / rate)
    return float(spectrum[near - 2 : near + 3].max())


def ids(*items: Item) -> list[str]:
    return [item.id for item in items]


async def test_four_videos_lie_two_by_two_and_the_shorter_stand_still(place: Desk) -> None:
    items = await four(place)

    outcome = await compiled(place, videoIds=ids(*items))
    path = place.output_of(outcome)
    made = seen(path)

    assert (made.codecs, made.size, made.pixel_format) == (("h264", "aac"), (1280, 720), "yuv420p")
    assert len(made.instants) == 45
    assert made.sound_s == pytest.approx(1.5, abs=0.05)
    assert {colours(picture_at(path, number)[0]) for number in (0, 14, 30, 44)} == {"RGBW"}
    assert index_in_front(path)
    assert outcome.result["tiles"] == ids(*items)
    assert outcome.result["dropped"] == []
    assert place.kept() == [outcome.result["outputPath"]]
    assert place.diary.percents[-1] == 100


async def test_each_is_whole_in_its_tile_with_black_around(place: Desk) -> None:
    items = await four(place)

    picture = picture_at(place.output_of(await compiled(place, videoIds=ids(*items))), 10)[0]

    row = np.asarray(picture)[180, :, 1] > 128
    assert [bool(row[x]) for x in (700, 960, 1220)] == [False, True, False]


async def test_sounds_are_mixed_for_as_long_as_each_lasts(place: Desk) -> None:
    items = await four(place)

    path = place.output_of(await compiled(place, videoIds=ids(*items)))

    assert loudness(path, 400, 0.1, 0.4) == pytest.approx(TONE, rel=0.1)
    assert loudness(path, 1500, 0.1, 0.4) == pytest.approx(TONE, rel=0.1)
    assert loudness(path, 400, 1.0, 1.4) == pytest.approx(TONE, rel=0.1)
    assert loudness(path, 1500, 0.7, 1.4) < 0.003


async def test_grid_is_an_item_that_names_its_sources(place: Desk) -> None:
    items = await four(place)

    outcome = await compiled(place, videoIds=ids(*items), outputPath="grids/four.mp4")
    (row,) = outcome.items
    extra = json.loads(row.extra_json)

    assert (row.root, row.path) == ("outputs", "grids/four.mp4")
    assert extra["sources"] == ids(*items)
    assert extra["manifest"]["streams"][0]["frames"] == 45
    assert [one.kind for one in outcome.derivatives] == ["compilation"]


async def test_dead_video_is_a_black_tile_and_listed(place: Desk) -> None:
    items = await four(place)
    (library(place) / "lime.mp4").write_bytes((library(place) / "lime.mp4").read_bytes()[:600])
    (library(place) / "white.mp4").unlink()

    outcome = await compiled(place, videoIds=ids(*items))
    dropped = json.loads(json.dumps(outcome.result["dropped"]))

    assert colours(picture_at(place.output_of(outcome), 20)[0]) == "R-B-"
    assert outcome.result["tiles"] == [items[0].id, None, items[2].id, None]
    assert outcome.result["videoIds"] == ids(items[0], items[2])
    assert [one["videoId"] for one in dropped] == ids(items[1], items[3])
    assert "changed since it was scanned" in dropped[0]["reason"]
    assert "no such file" in dropped[1]["reason"]


async def test_one_video_may_fill_several_tiles_and_fewer_than_four_leave_black(place: Desk) -> None:
    red, lime, *_ = await four(place)

    outcome = await compiled(place, videoIds=ids(lime, red, lime), clipLength=0.5)

    assert colours(picture_at(place.output_of(outcome), 5)[0]) == "GRG-"
    assert len(seen(place.output_of(outcome)).instants) == 15
    assert json.loads(outcome.items[0].extra_json)["sources"] == ids(lime, red)


async def test_chance_chooses_by_seed_and_the_same_is_completed_at_once(place: Desk) -> None:
    items = await four(place)

    first = await compiled(place)
    again = await compiled(place)
    portrait = await compiled(place, orientation="portrait")

    assert set(json.loads(json.dumps(first.result["videoIds"]))) == set(ids(*items))
    assert (again.result["cached"], again.result["outputPath"]) == (True, first.result["outputPath"])
    assert seen(place.output_of(portrait)).size == (720, 1280)
    assert colours(picture_at(place.output_of(portrait), 5)[0]) == "G---"


async def test_what_cannot_be_made_says_why(place: Desk) -> None:
    items = await four(place)
    unknown = str(uuid.uuid4())

    with pytest.raises(BadInputError, match=rf"videoIds\[1\]: there is no item {unknown}"):
        await compiled(place, videoIds=[items[0].id, unknown])
    with pytest.raises(BadInputError, match="none of 4 videos fits"):
        await compiled(place, minDuration=60)
    with pytest.raises(BadInputError, match=r"outputPath: .* must end in \.mp4"):
        await compiled(place, outputPath="a.mkv")
    for name in VIDEOS:
        (library(place) / f"{name}.mp4").unlink()
    with pytest.raises(BrokenMediaError, match="none of the 4 chosen videos can be used"):
        await compiled(place, videoIds=ids(*items))
    assert place.kept() == []


async def test_paused_grid_goes_on_with_the_clips_it_has(place: Desk) -> None:
    items = await four(place)
    context = place.context()
    context.stop.ask(StopReason.PAUSED, begun=True)
    params = CompileQuadParams.model_validate({"seed": "s", "videoIds": ids(*items)})
    with pytest.raises(PausedHereError):
        await CompileQuad().process(params, context)
    clips = place.kept()

    outcome = await compiled(place, videoIds=ids(*items))

    assert [one.endswith(".kept") for one in clips] == [True]
    assert "4 clips, of which 1 are done." in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 4
    assert colours(picture_at(place.output_of(outcome), 5)[0]) == "RGBW"
    assert place.kept() == [outcome.result["outputPath"]]


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (720, 720)])
def test_tiles_fill_the_whole_and_have_even_sides(size: tuple[int, int]) -> None:
    width, height = tile_size(size)

    assert (2 * width, 2 * height) == size
    assert (width % 2, height % 2) == (0, 0)
