"""Animated pictures of real videos: their size, pace, colours, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from callsheet_cpu_worker.processors.compile_gif import CompileGif
from PIL import Image, ImageSequence

from callsheet.errors import BadInputError
from callsheet.reel_params import CompileGifParams
from callsheet.v1.library_service_pb2 import MediaKind
from callsheet.worker.processor import Outcome
from tests.support.attempts import Desk, desk, scanned
from tests.support.folders import folder_of
from tests.support.media import corners, film, rotated_video


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as place:
        yield place


async def animated(place: Desk, path: str, **wishes: object) -> Outcome:
    item = await scanned(place, path)
    params = CompileGifParams.model_validate({"videoId": item.id, **wishes})
    outcome = await CompileGif().process(params, place.context())
    place.library.take(outcome)
    return outcome


def frames(place: Desk, outcome: Outcome) -> tuple[str, list[Image.Image], float]:
    """Return format, frames and seconds of what was made."""
    with Image.open(place.outputs / str(outcome.result["outputPath"])) as image:
        shown: list[Image.Image] = []
        lasts_ms = 0.0
        for frame in ImageSequence.Iterator(image):
            shown.append(frame.convert("RGB"))
            lasts_ms += float(frame.info["duration"])
        return str(image.format), shown, lasts_ms / 1000


@pytest.mark.parametrize("wanted", ["gif", "webp"])
async def test_animation_has_the_pace_and_width_asked_for(place: Desk, wanted: str) -> None:
    film(folder_of(place.roots["library"]) / "card.mp4", seconds=4, size="640x360")

    outcome = await animated(place, "card.mp4", timestamp=1, duration=2, width=320, fps=10, format=wanted)
    name, shown, lasts_s = frames(place, outcome)

    assert name == wanted.upper()
    assert len(shown) == 20
    assert shown[0].size == (320, 180)
    assert lasts_s == pytest.approx(2, abs=0.15)
    assert shown[0].tobytes() != shown[-1].tobytes()


async def test_animation_is_an_item_and_the_same_wish_is_completed_at_once(place: Desk) -> None:
    film(folder_of(place.roots["library"]) / "card.mp4")
    first = await animated(place, "card.mp4")

    again = await animated(place, "card.mp4")
    (row,) = first.items

    assert row.kind == MediaKind.MEDIA_KIND_IMAGE
    assert row.path == first.result["outputPath"]
    assert again.result == {"outputPath": row.path, "root": "outputs", "cached": True}
    assert [one.facts.kind for one in place.library.at("card.mp4").derivatives] == ["animation"]


async def test_turned_video_is_shown_upright_and_never_enlarged(place: Desk) -> None:
    rotated_video(folder_of(place.roots["library"]) / "turned.mp4", 270)

    _, shown, _ = frames(place, await animated(place, "turned.mp4", duration=0.5))

    assert shown[0].size == (240, 160)
    assert corners(shown[0]) == "RGBW"


async def test_what_lies_beyond_the_end_is_refused(place: Desk) -> None:
    film(folder_of(place.roots["library"]) / "card.mp4")

    with pytest.raises(BadInputError, match="timestamp: there is nothing at 9 s"):
        await animated(place, "card.mp4", timestamp=9)
    with pytest.raises(BadInputError, match=r"must end in \.gif"):
        await animated(place, "card.mp4", outputPath="card.webp")
    assert not [one for one in place.outputs.rglob("*") if one.is_file()]
