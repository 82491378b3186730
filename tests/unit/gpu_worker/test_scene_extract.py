"""Shots of real videos: where they begin, what is listed, what is cut out."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from callsheet_gpu_worker.processors.scene_extract import SceneExtract
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from callsheet.errors import BadInputError
from callsheet.media.identity import quick_identity
from callsheet.media.scenes import SceneWish, scene_list, scenes_of
from callsheet.params import SceneExtractParams
from callsheet.v1.library_service_pb2 import Item, ItemFacts, MediaKind
from callsheet.worker.processor import BrokenMediaError, Outcome
from tests.support.attempts import Desk, desk, scanned
from tests.support.folders import folder_of
from tests.support.media import ffmpeg, video

#: Moving pictures that look nothing alike, without and with noise, and one that stands still.
CARDS = (
    "testsrc2=size=320x180:rate=25:duration=2",
    "mandelbrot=size=320x180:rate=25,trim=duration=1.6,setpts=PTS-STARTPTS",
    "color=c=0x204080:size=320x180:rate=25:duration=1.2",
    "life=size=320x180:rate=25:mold=10:ratio=0.1:death_color=#C83232:life_color=#00ff00,trim=duration=2",
)
CUTS = (0.0, 2.0, 3.6, 4.8)
END_S = 6.8


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path, works=SceneExtract.works) as place:
        yield place


def cards(path: Path, *codec: str) -> None:
    """Write a video of four shots."""
    sources = [word for one in CARDS for word in ("-f", "lavfi", "-i", one)]
    even = "".join(f"[{number}:v]format=yuv420p,setsar=1[v{number}];" for number in range(len(CARDS)))
    joined = "".join(f"[v{number}]" for number in range(len(CARDS)))
    graph = f"{even}{joined}concat=n={len(CARDS)}:v=1:a=0[v]"
    chosen = codec or ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "250")
    ffmpeg(*sources, "-filter_complex", graph, "-map", "[v]", *chosen, str(path))


async def item_of(place: Desk, name: str = "cards.mp4", *codec: str) -> Item:
    cards(folder_of(place.roots["library"]) / name, *codec)
    return await scanned(place, name)


async def found(place: Desk, **wishes: object) -> Outcome:
    outcome = await SceneExtract().process(SceneExtractParams.model_validate(wishes), place.context())
    place.library.take(outcome)
    return outcome


def listed(place: Desk, outcome: Outcome) -> dict[str, JsonValue]:
    known: dict[str, JsonValue] = json.loads(
        (place.derivatives / str(outcome.result["outputPath"])).read_bytes()
    )
    return known


def starts(scenes: JsonValue) -> list[float]:
    assert isinstance(scenes, list)
    return [float(str(one["start"])) for one in scenes if isinstance(one, dict)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("cards.mp4", ()),
        ("cards.mkv", ("-c:v", "mpeg4", "-q:v", "3")),
        ("cards.ts", ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")),
    ],
)
async def test_every_cut_is_found_at_its_frame_and_nothing_else(
    place: Desk, name: str, codec: Sequence[str]
) -> None:
    item = await item_of(place, name, *codec)

    outcome = await found(place, videoId=item.id)
    document = listed(place, outcome)

    assert starts(document["scenes"]) == pytest.approx(CUTS, abs=0.011)
    assert document["scenes"] == outcome.result["scenes"]
    assert document["frames"] == 170
    assert document["durationSeconds"] == pytest.approx(END_S, abs=0.05)
    assert [one["startFrame"] for one in _dicts(document["scenes"])] == [0, 50, 90, 120]
    assert _dicts(document["scenes"])[-1]["endFrame"] == 170
    assert str(document["detector"]).startswith("PySceneDetect")
    assert place.diary.percents[-1] == 100


async def test_list_is_a_derivative_that_is_found_again(place: Desk) -> None:
    item = await item_of(place)
    first = await found(place, videoId=item.id)
    [row] = first.derivatives

    again = await found(place, inputPath="cards.mp4")
    other = await found(place, videoId=item.id, minLength=1.8)

    assert (row.kind, row.media_type, row.source_identity) == (
        "scenes",
        "application/json",
        item.facts.identity,
    )
    assert (again.result["cached"], again.result["outputPath"]) == (True, row.path)
    assert again.result["scenes"] == first.result["scenes"]
    assert again.derivatives == []
    assert other.result["cached"] is False
    assert len(place.files()) == 2


async def test_short_shots_belong_to_the_one_before(place: Desk) -> None:
    item = await item_of(place)

    outcome = await found(place, videoId=item.id, minLength=1.8)

    assert starts(outcome.result["scenes"]) == pytest.approx([0.0, 2.0, 4.8], abs=0.011)


async def test_clips_are_asked_of_jobs_that_cut_exactly(place: Desk) -> None:
    item = await item_of(place)

    outcome = await found(place, videoId=item.id, clips=True, count=3, outputPath="shots/a.mp4")
    [job] = outcome.follow_ups
    asked = json.loads(job.params_json)

    assert (job.type, asked["videoId"], asked["exact"]) == ("clip_generate", item.id, True)
    assert [one["start"] for one in asked["ranges"]] == pytest.approx(CUTS[:3], abs=0.011)
    assert [one["end"] for one in asked["ranges"]] == pytest.approx(CUTS[1:], abs=0.011)
    assert (asked["outputPath"], asked["outputRoot"]) == ("shots/a.mp4", "outputs")
    assert (await found(place, videoId=item.id)).follow_ups == []


async def test_video_without_a_cut_is_one_shot(place: Desk) -> None:
    path = folder_of(place.roots["library"])
    video(path / "moving.mp4", seconds=2)
    ffmpeg("-f", "lavfi", "-i", "color=c=red:size=160x90:rate=10:duration=0.1", str(path / "one.mp4"))
    moving, one = await scanned(place, "moving.mp4"), await scanned(place, "one.mp4")

    assert starts((await found(place, videoId=moving.id)).result["scenes"]) == [0.0]
    assert (await found(place, videoId=one.id)).result["scenes"] == [
        {"start": 0.0, "end": 0.1, "startFrame": 0, "endFrame": 1}
    ]


async def test_cut_in_the_midst_of_a_camera_that_moves_is_told_from_the_move(place: Desk) -> None:
    path = folder_of(place.roots["library"]) / "pan.mp4"
    pan = "testsrc=size=640x360:rate=25:duration=2,crop=320:180:x='n*6':y=40"
    other = "mandelbrot=size=320x180:rate=25,trim=duration=2,setpts=PTS-STARTPTS"
    graph = "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]concat=n=2:v=1:a=0[v]"
    ffmpeg(
        "-f", "lavfi", "-i", pan, "-f", "lavfi", "-i", other, "-filter_complex", graph, "-map", "[v]",
        "-c:v", "libx264", "-preset", "ultrafast", str(path),
    )  # fmt: skip
    item = await scanned(place, "pan.mp4")

    outcome = await found(place, videoId=item.id)

    assert starts(outcome.result["scenes"]) == pytest.approx([0.0, 2.0], abs=0.011)


async def test_what_cannot_be_searched_says_why(place: Desk) -> None:
    item = await item_of(place)
    path = folder_of(place.roots["library"])
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", str(path / "tone.mp3"))
    tone = await scanned(place, "tone.mp3")

    with pytest.raises(BadInputError, match="outputPath: must end in"):
        await found(place, videoId=item.id, clips=True, outputPath="a.mkv")
    with pytest.raises(BadInputError, match="is no video"):
        await found(place, videoId=tone.id)
    with pytest.raises(BadInputError, match="videoId: name an item"):
        await found(place)
    content = (path / "cards.mp4").read_bytes()
    (path / "cards.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await found(place, videoId=item.id)
    assert place.files() == []


async def test_playlist_in_disguise_opens_no_other_file(place: Desk) -> None:
    await item_of(place)
    content = b"ffconcat version 1.0\nfile cards.mp4\n"
    (folder_of(place.roots["library"]) / "trap.mp4").write_bytes(content)
    facts = ItemFacts(root="library", path="trap.mp4", kind=MediaKind.MEDIA_KIND_VIDEO)
    facts.identity = quick_identity(len(content), content, content)
    await place.library.upsert([facts])

    with pytest.raises(BrokenMediaError, match="what it names is not read"):
        await found(place, inputPath="trap.mp4")
    assert place.files() == []


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_shots_are_the_whole_video_without_gap_or_overlap(lengths: list[int]) -> None:
    begins = [sum(lengths[:number]) for number in range(len(lengths))]
    frames = sum(lengths)
    scenes = scenes_of([(one, one / 25) for one in begins], frames, frames / 25)
    document = json.loads(scene_list(scenes, SceneWish(), "x"))

    assert [one.end_frame - one.start_frame for one in scenes] == lengths
    assert [one["start"] for one in document["scenes"][1:]] == [one["end"] for one in document["scenes"][:-1]]
    assert (document["frames"], document["scenes"][0]["start"]) == (frames, 0.0)
    assert all(one["start"] <= one["startFrame"] / 25 for one in document["scenes"])


@pytest.mark.parametrize("wrong", [[], [(1, 0.0)], [(0, 0.0), (0, 0.0)], [(0, 0.0), (9, 9.0)]])
def test_what_makes_no_list_is_refused(wrong: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match="shot"):
        scenes_of(wrong, 5, 5.0)


def _dicts(value: JsonValue) -> list[dict[str, JsonValue]]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]
