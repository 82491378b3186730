"""Tags of real files: by metadata, by measurement, by a model in ONNX Runtime; never one too many."""

from pathlib import Path

import pytest
from callsheet_gpu_worker.processors.tag_generation import TagGeneration
from PIL import Image

from callsheet.errors import BadInputError, CapacityError, OutOfVramError
from callsheet.params import TagGenerationParams
from callsheet.v1.library_service_pb2 import Item, TagSet
from callsheet.worker.context import JobContext
from callsheet.worker.inference.limits import InferenceLimits
from callsheet.worker.inference.works import PROCESSOR
from callsheet.worker.processor import Outcome
from callsheet.worker.stream.devices import DeviceShare
from tests.support.attempts import Desk, library, scanned
from tests.support.media import ffmpeg, film, quadrants
from tests.support.onnx_models import HUNGRY_GRAPH, put_model

MODEL = "colours@0123456789ab"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "models"


def context(place: Desk, shelf: Path, device: DeviceShare | None = None) -> JobContext:
    made = place.context()
    made.inference = InferenceLimits(folder=shelf, memory_mib=2048, threads=1)
    made.device = device
    return made


async def tagged(place: Desk, shelf: Path, item: Item, **wishes: object) -> Outcome:
    params = TagGenerationParams.model_validate({"videoId": item.id, **wishes})
    return await TagGeneration().process(params, context(place, shelf))


def of(outcome: Outcome, source: str) -> dict[str, float]:
    """Return what a source says; nothing where it says nothing at all."""
    found: TagSet | None = next((one for one in outcome.tags if one.source == source), None)
    return {} if found is None else {tag.name: tag.score for tag in found.tags}


def sources(outcome: Outcome) -> list[str]:
    return [one.source for one in outcome.tags]


async def film_of(place: Desk, colour: str, *, size: str = "320x180", seconds: int = 3) -> Item:
    """Put a video of one colour with a moving spot into the library; its sound is a loud tone."""
    picture = f"color=c={colour}:size={size}:rate=25:duration={seconds},noise=alls=20:allf=t"
    path = str(library(place) / f"{colour}.mp4")
    ffmpeg(
        "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds},volume=4",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path,
    )  # fmt: skip
    return await scanned(place, f"{colour}.mp4")


async def test_without_a_model_there_is_no_tag_of_a_model(place: Desk, shelf: Path) -> None:
    outcome = await tagged(place, shelf, await film_of(place, "red", size="180x320"))

    assert sources(outcome) == ["metadata", "heuristic"]
    assert set(of(outcome, "metadata")) == {
        "video", "portrait", "low-resolution", "clip", "with-sound-track",
    }  # fmt: skip
    assert {"medium-light", "vivid", "loud"} <= set(of(outcome, "heuristic"))
    assert "speech-like" not in of(outcome, "heuristic")
    assert outcome.result["models"] == []


@pytest.mark.parametrize("colour", ["red", "blue"])
async def test_model_tells_a_red_video_from_a_blue_one(place: Desk, shelf: Path, colour: str) -> None:
    put_model(shelf)

    item = await film_of(place, colour)
    outcome = await tagged(place, shelf, item, frames=6)

    assert sources(outcome) == ["metadata", "heuristic", MODEL]
    assert list(of(outcome, MODEL)) == [colour]
    assert of(outcome, MODEL)[colour] > 0.9
    assert outcome.tags[-1].computed_on == "cpu"
    assert outcome.tags[-1].source_identity == item.facts.identity
    assert outcome.result["models"] == [{"model": MODEL, "provider": PROCESSOR, "pictures": 6}]


async def test_photo_is_tagged_by_a_model_and_a_recording_is_not(place: Desk, shelf: Path) -> None:
    put_model(shelf)
    Image.new("RGB", (200, 100), (10, 220, 10)).save(library(place) / "green.png")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=12", str(library(place) / "tone.flac"))
    photo = await tagged(place, shelf, await scanned(place, "green.png"))
    sound = await tagged(place, shelf, await scanned(place, "tone.flac"))

    assert list(of(photo, MODEL)) == ["green"]
    assert sources(sound) == ["metadata", "heuristic"]
    assert set(of(sound, "metadata")) == {"audio", "short"}


async def test_picture_that_shows_something_is_tagged_by_light_and_colour(place: Desk, shelf: Path) -> None:
    quadrants().save(library(place) / "quadrants.png")
    outcome = await tagged(place, shelf, await scanned(place, "quadrants.png"))

    assert set(of(outcome, "heuristic")) == {"medium-light", "vivid"}


async def test_document_has_its_metadata_alone(place: Desk, shelf: Path) -> None:
    put_model(shelf)
    quadrants().save(library(place) / "page.pdf")
    outcome = await tagged(place, shelf, await scanned(place, "page.pdf"))

    assert of(outcome, "metadata") == {"document": 1.0}
    assert of(outcome, "heuristic") == {}
    assert sources(outcome) == ["metadata", "heuristic"]


async def test_silent_video_that_moves_is_tagged_so(place: Desk, shelf: Path) -> None:
    film(library(place) / "card.mp4", sound=False, size="1280x720")
    found = await tagged(place, shelf, await scanned(place, "card.mp4"))

    assert {"720p", "landscape", "without-sound-track"} <= set(of(found, "metadata"))
    assert not {"silent", "loud"} & set(of(found, "heuristic"))
    assert {"some-motion", "much-motion"} & set(of(found, "heuristic"))


async def test_model_that_cannot_be_used_is_left_out_and_told_unless_it_was_named(
    place: Desk, shelf: Path
) -> None:
    put_model(shelf)
    path = shelf / "colours/image.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    item = await film_of(place, "red")

    outcome = await tagged(place, shelf, item)

    assert sources(outcome) == ["metadata", "heuristic"]
    assert "is not what the manifest names" in str(outcome.result["leftOut"])
    with pytest.raises(BadInputError, match="is not what the manifest names"):
        await tagged(place, shelf, item, models=["colours"])
    with pytest.raises(BadInputError, match="models: other is not installed here"):
        await tagged(place, shelf, item, models=["other"])
    assert sources(await tagged(place, shelf, item, models=[])) == ["metadata", "heuristic"]


async def test_model_without_memory_fails_the_attempt_for_want_of_capacity(place: Desk, shelf: Path) -> None:
    put_model(shelf, HUNGRY_GRAPH)
    item = await film_of(place, "red")

    with pytest.raises(CapacityError, match="memory"):
        await tagged(place, shelf, item)


async def test_model_that_needs_more_of_the_card_than_was_given_goes_again_with_more(
    place: Desk, shelf: Path
) -> None:
    put_model(shelf, vram_mib=7000)
    item = await film_of(place, "red")
    device = DeviceShare(uuid="GPU-5b1c", vram_mib=6000, encoder_sessions=0)
    params = TagGenerationParams.model_validate({"videoId": item.id})

    with pytest.raises(OutOfVramError, match="needs 7,000 MB of the card"):
        await TagGeneration().process(params, context(place, shelf, device))


async def test_job_with_a_card_says_in_tags_and_log_that_the_model_ran_without(
    place: Desk, shelf: Path
) -> None:
    put_model(shelf)
    item = await film_of(place, "red")
    device = DeviceShare(uuid="GPU-5b1c", vram_mib=6000, encoder_sessions=0)
    params = TagGenerationParams.model_validate({"videoId": item.id})

    outcome = await TagGeneration().process(params, context(place, shelf, device))

    assert outcome.tags[-1].computed_on == "cpu"
    assert "holds the card GPU-5b1c, but the model ran on the processor" in place.diary.text
    assert "onnxruntime-gpu" in place.diary.text


async def test_broken_video_is_refused_and_a_changed_one_too(place: Desk, shelf: Path) -> None:
    item = await film_of(place, "red")
    film(library(place) / "red.mp4", size="64x64")
    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await tagged(place, shelf, item)
    with pytest.raises(BadInputError, match="name an item"):
        await TagGeneration().process(TagGenerationParams(), context(place, shelf))
