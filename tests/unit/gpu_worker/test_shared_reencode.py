"""Re-encodes that other jobs help with: what they are asked, and that what is joined shows no seam."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from callsheet_gpu_worker.processors.reencode_chunk import ReencodeChunk
from callsheet_gpu_worker.processors.reencode_streaming import ReencodeStreaming
from callsheet_gpu_worker.sharing import worth_sharing

from callsheet.errors import BadInputError, TransientError
from callsheet.ids import new_job_id
from callsheet.params import Distribute, ReencodeChunkParams, ReencodeStreamingParams
from callsheet.v1.job_pb2 import Job, JobState, NewJob
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.processor import Outcome, Yielded
from tests.support.attempts import Desk, desk, scanned
from tests.support.folders import folder_of
from tests.support.numbered import beats_begin, numbered, phase_steps, psnr, read

PARENT = new_job_id()
DONE, FAILED = JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_FAILED
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv444p", "-crf", "5", "-g", "25", "-keyint_min", "25")
B_FRAMES = (*H264, "-preset", "veryfast", "-bf", "3", "-c:a", "aac", "-b:a", "192k")
OPEN_GOP = (*H264, "-preset", "veryfast", "-x264-params", "open-gop=1:bframes=3", "-c:a", "flac")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "2", "-g", "25", "-c:a", "flac")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as place:
        place.limits = EncodingLimits(chunk_s=2)
        yield place


def film(place: Desk, name: str = "film.mkv", *, codec: Sequence[str] = MPEG4, frames: int = 200) -> Path:
    path = folder_of(place.roots["library"]) / name
    numbered(path, frames=frames, codec=codec)
    return path


async def wish(place: Desk, name: str = "film.mkv", **wishes: object) -> ReencodeStreamingParams:
    item = await scanned(place, name)
    given = {"videoId": item.id, "preset": "ultrafast", "distribute": "always", "targetBitrate": 8000}
    return ReencodeStreamingParams.model_validate(given | wishes)


async def begun(place: Desk, params: ReencodeStreamingParams) -> Sequence[NewJob]:
    """Run the parent until it yields, and return its children."""
    outcome = await ReencodeStreaming().process(params, place.context(PARENT))
    assert isinstance(outcome, Yielded)
    place.checkpoint = outcome.checkpoint
    return outcome.children


async def helped(place: Desk, child: NewJob) -> Outcome:
    """Do a chunk as a worker does that knows nothing but the job."""
    checkpoint, place.checkpoint = place.checkpoint, None
    params = ReencodeChunkParams.model_validate_json(child.params_json)
    try:
        return await ReencodeChunk().process(params, place.context(child.id))
    finally:
        place.checkpoint = checkpoint


async def joined(place: Desk, params: ReencodeStreamingParams, *finished: Job) -> Outcome:
    """Grant the parent again."""
    place.queue.finished += finished
    outcome = await ReencodeStreaming().process(params, place.context(PARENT))
    assert isinstance(outcome, Outcome)
    place.library.take(outcome)
    return outcome


def as_done(child: NewJob, worker: str = "w1") -> Job:
    return Job(id=child.id, type=child.type, state=DONE, worker_id=worker)


async def shared(place: Desk, params: ReencodeStreamingParams) -> Outcome:
    """Have all chunks done by other jobs, the last first, and the parent join them."""
    children = await begun(place, params)
    for child in reversed(children):
        await helped(place, child)
    return await joined(
        place, params, *[as_done(child, f"w{number % 2}") for number, child in enumerate(children)]
    )


@pytest.mark.parametrize(
    ("name", "rate", "drop", "codec"),
    [
        ("film.mp4", "30000/1001", "", B_FRAMES),
        ("film.mkv", "25", "", OPEN_GOP),
        ("uneven.mkv", "25", "not(mod(n,7))+lt(mod(n,60),35)", MPEG4),
    ],
)
async def test_what_others_encoded_is_joined_frame_by_frame(
    place: Desk, name: str, rate: str, drop: str, codec: Sequence[str]
) -> None:
    path = folder_of(place.roots["library"]) / name
    numbered(path, frames=260, rate=rate, drop=drop, codec=codec)
    params = await wish(place, name)

    whole = place.output_of(await one_piece(place, name))
    made = read(place.output_of(await shared(place, params)))
    source, piece = read(path), read(whole)

    assert source.numbers == tuple(sorted(set(source.numbers)))
    assert made.numbers == source.numbers
    assert made.instants == pytest.approx(source.instants, abs=0.0011)
    alike = [psnr(one, other) for one, other in zip(made.pictures, source.pictures, strict=True)]
    usual = [psnr(one, other) for one, other in zip(piece.pictures, source.pictures, strict=True)]
    assert min(alike) > min(usual) - 0.5
    assert sum(alike) > sum(usual) - 0.3 * len(usual)
    assert phase_steps(made.sound)[5:-5].max() < 0.15
    assert len(made.sound) / 48_000 == pytest.approx(len(source.sound) / 48_000, abs=0.05)


async def one_piece(place: Desk, name: str) -> Outcome:
    """Encode the same in one go."""
    place.limits = EncodingLimits(chunk_s=3600)
    params = await wish(place, name, crf=23, outputPath="whole.mp4", distribute="never")
    context = place.context()
    outcome = await ReencodeStreaming().process(params, context)
    assert isinstance(outcome, Outcome)
    place.limits = EncodingLimits(chunk_s=2)
    (staged,) = context.outputs
    (place.outputs / staged.staged_path).rename(place.outputs / "whole.mp4")
    return outcome


async def test_sound_stays_with_the_pictures(place: Desk) -> None:
    path = folder_of(place.roots["library"]) / "beats.mp4"
    numbered(path, frames=250, codec=B_FRAMES, beats=True)

    made = read(place.output_of(await shared(place, await wish(place, "beats.mp4"))))

    assert beats_begin(made.sound) == pytest.approx([1, 3, 5, 7, 9], abs=0.006)
    assert made.numbers == tuple(range(250))
    assert made.instants == pytest.approx([number / 25 for number in range(250)], abs=0.0011)


async def test_jobs_for_chunks_are_as_urgent_as_their_parent_and_name_its_plan(place: Desk) -> None:
    film(place)
    params = await wish(place)
    context = place.context(PARENT)
    context.priority, context.interactive = 2, True

    outcome = await ReencodeStreaming().process(params, context)
    assert isinstance(outcome, Yielded)
    asked = [ReencodeChunkParams.model_validate_json(child.params_json) for child in outcome.children]

    assert {(child.type, child.priority, child.interactive) for child in outcome.children} == {
        ("reencode_chunk", 2, True)
    }
    assert [one.number for one in asked] == [0, 1, 2, 3]
    assert {(one.root, one.output_root, str(one.parent), one.codec) for one in asked} == {
        ("library", "outputs", PARENT, "libx264")
    }
    assert outcome.checkpoint == {"encoder": "libx264", "chunks": 4, "done": 0, "rounds": 1}
    (plan,) = place.kept()
    assert plan.startswith(f"playback/.plan-{asked[0].plan}.{PARENT}.")


async def test_nothing_is_left_beside_the_output_and_the_log_says_who_helped(place: Desk) -> None:
    film(place)

    outcome = await shared(place, await wish(place))

    assert place.kept() == [outcome.result["outputPath"]]
    assert "4 chunks were done by 2 workers." in place.diary.text
    assert "4 chunks, of which 4 are done." in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 1


async def test_same_wish_is_found_made_and_asks_nobody(place: Desk) -> None:
    film(place)
    params = await wish(place)
    await shared(place, params)
    place.checkpoint = None

    again = await joined(place, params)

    assert again.result["cached"] is True


async def test_only_chunks_that_are_not_there_are_asked_for(place: Desk) -> None:
    film(place, frames=300)
    params = await wish(place)
    children = await begun(place, params)
    for child in children[:3]:
        await helped(place, child)
    place.checkpoint = None

    rest = await begun(place, params)

    numbers = [ReencodeChunkParams.model_validate_json(one.params_json).number for one in rest]
    assert len(children) == 6
    assert numbers == [3, 4, 5]
    assert (await helped(place, children[0])).result["cached"] is True


async def test_chunk_that_failed_is_done_alone_by_the_parent(place: Desk) -> None:
    film(place)
    params = await wish(place)
    first, second, *others = await begun(place, params)
    for child in (first, *others):
        await helped(place, child)
    bad = Job(id=second.id, type=second.type, state=FAILED, error="the disk fell out")

    outcome = await joined(place, params, as_done(first), bad, *map(as_done, others))

    assert f"A chunk was not done by job {second.id}: the disk fell out" in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 2
    assert read(place.output_of(outcome)).numbers == tuple(range(200))


async def test_chunk_that_was_damaged_since_is_made_again(place: Desk) -> None:
    film(place)
    params = await wish(place)
    children = await begun(place, params)
    for child in children:
        await helped(place, child)
    damaged = next(one for one in place.kept() if one.startswith("playback/.00002-"))
    content = (place.outputs / damaged).read_bytes()
    (place.outputs / damaged).write_bytes(content[: len(content) // 2])

    outcome = await joined(place, params, *map(as_done, children))

    assert "Chunk 2 has 0 frames instead of 50: it is made again." in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 2
    assert read(place.output_of(outcome)).numbers == tuple(range(200))


async def test_others_are_asked_twice_then_the_parent_does_it_itself(place: Desk) -> None:
    film(place)
    params = await wish(place)

    first, second = await begun(place, params), await begun(place, params)
    lost = [Job(id=one.id, state=FAILED, error="no") for one in (*first, *second)]
    outcome = await joined(place, params, *lost)

    assert len(second) == 4
    assert read(place.output_of(outcome)).numbers == tuple(range(200))


async def test_plan_decides_over_the_settings_of_the_worker_that_joins(place: Desk) -> None:
    film(place)
    params = await wish(place)
    children = await begun(place, params)
    place.limits = EncodingLimits(chunk_s=4)
    for child in children:
        await helped(place, child)

    await joined(place, params, *map(as_done, children))

    assert "4 chunks, of which 4 are done." in place.diary.text


@pytest.mark.parametrize(("free", "yields"), [(0, False), (1, True)])
async def test_others_are_asked_where_one_is_free(place: Desk, free: int, *, yields: bool) -> None:
    film(place, frames=100)
    place.queue.free_workers = free

    outcome = await ReencodeStreaming().process(await wish(place, distribute=None), place.context(PARENT))

    assert isinstance(outcome, Yielded) is yields
    assert place.queue.asked_for == [("reencode_chunk", "library", "outputs")]


async def test_administrator_decides_where_the_job_does_not(place: Desk) -> None:
    film(place, frames=100)
    place.limits = EncodingLimits(chunk_s=2, distribute="always")

    assert len(await begun(place, await wish(place, distribute=None))) == 2
    place.checkpoint = None
    outcome = await ReencodeStreaming().process(await wish(place, distribute="never"), place.context(PARENT))

    assert isinstance(outcome, Outcome)


@pytest.mark.parametrize(
    ("asked", "missing", "rounds", "helpers", "worth"),
    [
        ("auto", 2, 0, 1, True),
        ("auto", 2, 0, 0, False),
        ("auto", 1, 0, 5, False),
        ("auto", 9, 2, 5, False),
        ("always", 2, 1, 0, True),
        ("always", 1, 0, 0, False),
        ("never", 9, 0, 5, False),
    ],
)
def test_sharing_is_worth_it_for_several_chunks_that_somebody_is_free_to_do(
    asked: Distribute, missing: int, rounds: int, helpers: int, *, worth: bool
) -> None:
    assert worth_sharing(asked, missing=missing, rounds=rounds, helpers=helpers) is worth


async def test_chunk_of_a_parent_that_has_ended_says_so(place: Desk) -> None:
    film(place, frames=100)
    child, _ = await begun(place, await wish(place))
    (plan,) = place.kept()
    (place.outputs / plan).unlink()

    with pytest.raises(BadInputError, match=f"job {PARENT} has no plan"):
        await helped(place, child)


async def test_plan_that_is_none_is_refused(place: Desk) -> None:
    film(place, frames=100)
    child, _ = await begun(place, await wish(place))
    (plan,) = place.kept()
    (place.outputs / plan).write_text('{"identity": 1}')

    with pytest.raises(BadInputError, match="no plan"):
        await helped(place, child)


async def test_chunk_of_a_video_that_changed_is_refused(place: Desk) -> None:
    path = film(place, frames=100)
    child, _ = await begun(place, await wish(place))
    await asyncio.to_thread(numbered, path, frames=90, codec=MPEG4)

    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await helped(place, child)


async def test_chunk_is_not_encoded_by_another_codec_than_its_neighbours(place: Desk) -> None:
    film(place, frames=100)
    child, _ = await begun(place, await wish(place))
    child.params_json = child.params_json.replace("libx264", "h264_nvenc")

    with pytest.raises(TransientError, match="encoded by h264_nvenc, which does not work here"):
        await helped(place, child)


async def test_chunk_beyond_the_plan_is_refused(place: Desk) -> None:
    film(place, frames=100)
    child, _ = await begun(place, await wish(place))
    child.params_json = child.params_json.replace('"number":0', '"number":7')

    with pytest.raises(BadInputError, match="there is no chunk 7"):
        await helped(place, child)
