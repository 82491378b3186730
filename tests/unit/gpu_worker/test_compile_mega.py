"""Long compilations: joined in two steps, gone on with, and told which videos were left out."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import av
import pytest
from callsheet_gpu_worker import reel_state
from callsheet_gpu_worker.processors.compile_mega import CompileMega
from callsheet_gpu_worker.reel_state import CLIPS_PERCENT

from callsheet.errors import BadInputError, CapacityError
from callsheet.reel_params import CompileMegaParams
from callsheet.v1.library_service_pb2 import ItemState
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.processor import BrokenMediaError, Outcome
from callsheet.worker.stopping import PausedHereError
from tests.support.attempts import Desk, Pausing, desk, scanned
from tests.support.folders import folder_of
from tests.support.programmes import Scene, programme
from tests.support.videos import index_in_front, picture_at, seen

COLOURS = ("red", "lime", "blue", "yellow", "cyan")
BITS = {"red": (1, 0, 0), "lime": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1)}


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A desk over five videos of one second, joined by two at a time."""
    monkeypatch.setattr(reel_state, "GROUP_PARTS", 2)
    async with desk(tmp_path) as place:
        for name in COLOURS:
            path = folder_of(place.roots["library"]) / f"{name}.mp4"
            programme(path, Scene(seconds=1, picture=name, volume=0.3), size="160x90", sound=name != "blue")
            await scanned(place, f"{name}.mp4")
        yield place


async def joined(place: Desk, **wishes: object) -> Outcome:
    params = CompileMegaParams.model_validate({"order": "path", **wishes})
    outcome = await CompileMega().process(params, place.context())
    place.library.take(outcome)
    return outcome


def shown(path: Path) -> list[str]:
    """Return the colour in the middle of each second."""
    names: list[str] = []
    for number in range(15, len(seen(path).instants), 30):
        image = picture_at(path, number)[0]
        pixel = image.getpixel((image.width // 2, image.height // 2))
        assert isinstance(pixel, tuple)
        names.append(next(name for name in COLOURS if BITS[name] == tuple(int(one > 128) for one in pixel)))
    return names


async def test_groups_are_joined_without_a_seam(place: Desk) -> None:
    outcome = await joined(place)
    path = place.output_of(outcome)
    made = seen(path)
    with av.open(path) as container:
        marks = container.chapters()

    assert shown(path) == sorted(COLOURS)
    assert len(made.instants) == 150
    assert all(after - before == pytest.approx(1 / 30, abs=1e-4) for before, after in pairwise(made.instants))
    assert made.sound_s == pytest.approx(5, abs=0.05)
    assert [str(one["metadata"]["title"]) for one in marks] == [f"{name}.mp4" for name in sorted(COLOURS)]
    assert index_in_front(path)
    assert place.kept() == [outcome.result["outputPath"]]
    assert len(json.loads(outcome.items[0].extra_json)["sources"]) == 5


async def test_given_videos_are_joined_in_their_order(place: Desk) -> None:
    wanted = ["cyan", "red", "lime"]

    outcome = await joined(place, videoIds=[place.library.at(f"{name}.mp4").id for name in wanted])

    assert shown(place.output_of(outcome)) == wanted
    with pytest.raises(BadInputError, match=r"videoIds\[0\]: there is no item 00000000"):
        await joined(place, videoIds=["00000000-0000-4000-8000-000000000000"])


async def test_bad_videos_are_left_out_and_listed_and_so_is_a_group_of_nothing_else(place: Desk) -> None:
    folder = folder_of(place.roots["library"])
    for name in ("blue", "cyan"):  # the first group, by path
        (folder / f"{name}.mp4").write_bytes(b"nothing")

    outcome = await joined(place)

    assert shown(place.output_of(outcome)) == ["lime", "red", "yellow"]
    dropped = json.loads(json.dumps(outcome.result["dropped"]))
    assert [one["videoId"] for one in dropped] == [
        place.library.at(f"{one}.mp4").id for one in ("blue", "cyan")
    ]
    for name in COLOURS:
        (folder / f"{name}.mp4").write_bytes(b"nothing")
    with pytest.raises(BrokenMediaError, match="none of the 5 chosen videos can be used"):
        await joined(place, clipLength=0.5)


async def test_later_attempts_say_which_video_they_take_in_hand_and_leave_out_broken_ones(
    place: Desk,
) -> None:
    cyan = place.library.at("cyan.mp4")
    cyan.facts.state, cyan.facts.reason = ItemState.ITEM_STATE_BROKEN, "workers died of it"
    ids = [place.library.at(f"{name}.mp4").id for name in ("red", "cyan", "lime")]

    outcome = await CompileMega().process(
        CompileMegaParams.model_validate({"videoIds": ids}), place.context(attempt=2)
    )

    assert place.library.in_hand == ["red.mp4", "lime.mp4"]
    assert outcome.result["dropped"] == [{"videoId": cyan.id, "reason": "is broken: workers died of it"}]
    assert place.diary.percents == sorted(place.diary.percents)
    assert [one for one in place.diary.percents if CLIPS_PERCENT < one < 100] != []


async def test_paused_compilation_goes_on_with_its_groups(place: Desk) -> None:
    (folder_of(place.roots["library"]) / "cyan.mp4").write_bytes(b"nothing")
    context = place.context()
    context.report = Pausing(context.stop, 3)  # a clip, the group of it, a clip of the next
    with pytest.raises(PausedHereError):
        await CompileMega().process(CompileMegaParams(order="path"), context)
    assert len(place.kept()) == 3  # a group, what it is made of, a clip

    outcome = await joined(place)

    assert "5 clips, of which 1 and 1 groups are done." in place.diary.text
    assert shown(place.output_of(outcome)) == ["blue", "lime", "red", "yellow"]
    assert [one["videoId"] for one in json.loads(json.dumps(outcome.result["dropped"]))] == [
        place.library.at("cyan.mp4").id
    ]
    assert place.kept() == [outcome.result["outputPath"]]


async def test_nothing_is_begun_where_the_disk_has_no_room(place: Desk) -> None:
    place.limits = EncodingLimits(free_floor_mib=1 << 40)

    with pytest.raises(CapacityError, match="free_disk_floor_mib"):
        await joined(place)
    assert place.kept() == []
