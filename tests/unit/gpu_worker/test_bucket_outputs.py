"""Re-encodes of originals in a bucket into another: processors do not know where files lie."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from callsheet_gpu_worker.processors.reencode_streaming import ReencodeStreaming

from callsheet.errors import BadInputError
from callsheet.params import ReencodeStreamingParams
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.placing import place as put_in_place
from callsheet.worker.processor import Outcome
from tests.support.attempts import Desk, desk, scanned
from tests.support.media import film
from tests.support.objects import Bucket, Objects
from tests.support.videos import seen


@pytest.fixture
async def place(objects: Objects, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Desk]:
    roots = {
        "library": objects.settings(bucket.name, "in", writable=False),
        "outputs": objects.settings(bucket.name, "out"),
    }
    async with desk(tmp_path, elsewhere=roots) as place:
        place.limits = EncodingLimits(chunk_s=2, free_floor_mib=1)
        yield place


async def reencoded(place: Desk, **wishes: object) -> Outcome:
    item = await scanned(place, "film.mp4")
    params = ReencodeStreamingParams.model_validate({"videoId": item.id, "preset": "ultrafast", **wishes})
    outcome = await ReencodeStreaming().process(params, place.context())
    assert isinstance(outcome, Outcome)
    place.library.take(outcome)
    return outcome


async def put_film(bucket: Bucket, folder: Path) -> None:
    """Put a film that has to be encoded, in several chunks."""
    codec = ("-c:v", "mpeg4", "-q:v", "5")
    await asyncio.to_thread(film, folder / "film.mp4", seconds=7, codec=codec)
    await asyncio.to_thread(bucket.put, "in/film.mp4", (folder / "film.mp4").read_bytes())


async def test_film_is_encoded_in_chunks_from_bucket_to_bucket(
    place: Desk, bucket: Bucket, tmp_path: Path
) -> None:
    await put_film(bucket, tmp_path)

    first = await reencoded(place)
    again = await reencoded(place)
    path = str(first.result["outputPath"])
    (tmp_path / "made.mp4").write_bytes(place.roots.read("outputs", path, 0, 1 << 30).content)
    made = seen(tmp_path / "made.mp4")

    assert made.codecs == ("h264", "aac")
    assert len(made.instants) == 175
    assert (again.result["cached"], again.result["outputPath"]) == (True, path)
    assert bucket.keys() == ["in/film.mp4", f"out/{path}"]
    assert bucket.uploads() == []


async def test_path_that_is_asked_for_is_taken_once(place: Desk, bucket: Bucket, tmp_path: Path) -> None:
    await put_film(bucket, tmp_path)
    context = place.context()
    item = await scanned(place, "film.mp4")
    wish = {"videoId": item.id, "preset": "ultrafast", "outputPath": "films/cut.mp4"}
    await ReencodeStreaming().process(ReencodeStreamingParams.model_validate(wish), context)

    assert [key.endswith(".staged") for key in bucket.keys("out/")] == [True]
    (output,) = context.outputs
    assert await asyncio.to_thread(put_in_place, place.roots, output) == ""
    assert bucket.keys("out/") == ["out/films/cut.mp4"]
    other = ReencodeStreamingParams.model_validate({**wish, "crf": 40})
    with pytest.raises(BadInputError, match="something at this path already"):
        await ReencodeStreaming().process(other, place.context())
