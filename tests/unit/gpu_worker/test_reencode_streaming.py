"""Re-encodes for streaming on real files: what comes out, what is cached, and that a pause goes on."""

import asyncio
import json
from collections.abc import Sequence
from uuid import UUID

import pytest
from callsheet_gpu_worker.processors.reencode_streaming import ReencodeStreaming

from callsheet.errors import BadInputError, CapacityError
from callsheet.params import ReencodeStreamingParams
from callsheet.worker.context import JobContext
from callsheet.worker.encode.commands import Input, command, media_input
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.encode.runs import Meter, encode
from callsheet.worker.processor import Outcome
from callsheet.worker.stopping import PausedHereError
from tests.support.attempts import Desk, Diary, Pausing, library, scanned
from tests.support.media import corners, ffmpeg, film, first_part, rotated_video, video
from tests.support.patience import PATIENCE_S
from tests.support.videos import index_in_front, seen

WEBM = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")


async def wish(place: Desk, path: str, **wishes: object) -> ReencodeStreamingParams:
    """Scan a file and return the parameters of its re-encode."""
    item = await scanned(place, path)
    return ReencodeStreamingParams.model_validate({"videoId": item.id, "preset": "ultrafast", **wishes})


async def done(params: ReencodeStreamingParams, context: JobContext) -> Outcome:
    """Run an attempt that yields to nobody."""
    outcome = await ReencodeStreaming().process(params, context)
    assert isinstance(outcome, Outcome)
    return outcome


async def reencoded(place: Desk, path: str, **wishes: object) -> Outcome:
    params = await wish(place, path, **wishes)
    outcome = await done(params, place.context())
    place.library.take(outcome)
    return outcome


async def test_other_codecs_become_h264_and_aac_with_the_index_in_front(place: Desk) -> None:
    film(library(place) / "card.webm", seconds=5, codec=WEBM)

    outcome = await reencoded(place, "card.webm")
    made = seen(place.output_of(outcome))

    assert made.codecs == ("h264", "aac")
    assert made.pixel_format == "yuv420p"
    assert len(made.instants) == 125
    assert made.keyframes == pytest.approx([0, 2, 4], abs=0.002)
    assert made.sound_s == pytest.approx(5, abs=0.1)
    assert index_in_front(place.output_of(outcome))
    assert outcome.result["encoder"] == "libx264"
    assert place.diary.percents == sorted(place.diary.percents)
    assert "FFmpeg command: ffmpeg " in place.diary.text


async def test_output_is_an_item_that_names_its_source_and_how_it_was_made(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)

    outcome = await reencoded(place, "card.webm")
    source = place.library.at("card.webm")
    (row,) = outcome.items
    extra = json.loads(row.extra_json)

    assert (row.root, row.path) == ("outputs", outcome.result["outputPath"])
    assert row.video_codec == "h264"
    assert extra["sources"] == [source.id]
    assert extra["manifest"]["encoder"] == "libx264"
    assert extra["manifest"]["ffmpeg"].startswith("ffmpeg version ")
    assert extra["manifest"]["argv"][0] == "ffmpeg"
    assert len(extra["manifest"]["blake2b"]) == 64
    assert [one.facts.kind for one in source.derivatives] == ["playback"]
    assert source.derivatives[0].facts.path == row.path


async def test_same_wish_of_the_same_content_is_completed_at_once(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)
    first = await reencoded(place, "card.webm")
    files = place.kept()

    again = await reencoded(place, "card.webm")
    other = await reencoded(place, "card.webm", crf=40)

    assert again.result["cached"] is True
    assert again.result["outputPath"] == first.result["outputPath"]
    assert not again.items
    assert other.result["cached"] is False
    assert len(place.kept()) == len(files) + 1


async def test_cached_result_whose_file_is_gone_is_made_again(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)
    first = await reencoded(place, "card.webm")
    place.output_of(first).unlink()

    assert (await reencoded(place, "card.webm")).result["cached"] is False


async def test_conforming_video_is_copied_frame_by_frame(place: Desk) -> None:
    film(library(place) / "card.mp4", codec=("-c:v", "libx264", "-pix_fmt", "yuv420p", "-b:v", "300k"))

    outcome = await reencoded(place, "card.mp4")

    assert outcome.result["encoder"] == "copy"
    assert seen(place.output_of(outcome)).instants == seen(library(place) / "card.mp4").instants


async def test_large_video_is_scaled_to_even_sizes(place: Desk) -> None:
    film(library(place) / "large.webm", seconds=1, size="2570x1444", rate="5", codec=WEBM)

    made = seen(place.output_of(await reencoded(place, "large.webm")))

    assert made.size == (1922, 1080)


async def test_rotated_video_is_made_upright(place: Desk) -> None:
    rotated_video(library(place) / "turned.mp4", 90)

    made = seen(place.output_of(await reencoded(place, "turned.mp4")))

    assert made.rotation == 0
    assert made.size == (240, 160)
    assert corners(made.frame) == "RGBW"


async def test_full_range_of_colours_becomes_that_of_screens(place: Desk) -> None:
    full = ("-c:v", "libx264", "-pix_fmt", "yuvj420p")
    film(library(place) / "phone.mp4", codec=full)

    made = seen(place.output_of(await reencoded(place, "phone.mp4")))

    assert made.pixel_format == "yuv420p"


async def test_playlist_in_disguise_shows_nothing_of_what_it_names(place: Desk) -> None:
    film(library(place) / "secret.mp4")
    item = await scanned(place, "secret.mp4")
    (library(place) / "secret.mp4").rename(library(place) / "other.mp4")
    (library(place) / "secret.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    params = ReencodeStreamingParams(video_id=UUID(item.id))

    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await ReencodeStreaming().process(params, place.context())

    with (library(place) / "secret.mp4").open("rb") as file, (place.outputs / "made.mp4").open("w+b") as made:
        source = media_input(Input(fd=file.fileno()))
        one = command([source], {"f": "mp4"}, output=made.fileno(), inputs=[file.fileno()])
        with pytest.raises(BadInputError):
            await encode(place.context(), one, Meter(context=place.context(), total_s=1))
    assert (place.outputs / "made.mp4").stat().st_size == 0


async def test_silent_video_stays_silent(place: Desk) -> None:
    video(library(place) / "silent.avi", codec=("-c:v", "mpeg4"))

    assert seen(place.output_of(await reencoded(place, "silent.avi"))).codecs == ("h264",)


async def test_instants_of_a_variable_frame_rate_are_kept(place: Desk) -> None:
    path = library(place) / "uneven.mkv"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=3",
        "-vf", "select='not(mod(n,7))+lt(n,20)'", "-fps_mode", "vfr", "-c:v", "mpeg4", str(path),
    )  # fmt: skip

    made = seen(place.output_of(await reencoded(place, "uneven.mkv")))

    assert made.instants == pytest.approx(seen(path).instants, abs=0.0005)


async def test_high_dynamic_range_is_mapped_to_a_common_screen(place: Desk) -> None:
    path = library(place) / "hdr.mp4"
    colours = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    grey = f"color=c=0x808080:size=320x180:rate=10:duration=1,format=yuv420p10le,{colours}"
    hdr = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    ffmpeg(
        "-f", "lavfi", "-i", grey,
        "-c:v", "libx265", "-x265-params", "log-level=error", *hdr, str(path),
    )  # fmt: skip

    made = seen(place.output_of(await reencoded(place, "hdr.mp4")))
    pixel = made.frame.getpixel((100, 100))

    assert made.pixel_format == "yuv420p"
    assert isinstance(pixel, tuple)
    assert 60 < pixel[0] < 230
    assert "tonemap" in place.diary.text


@pytest.mark.parametrize(
    ("name", "rate", "codec"),
    [
        ("film.mp4", "30000/1001", ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-crf", "10")),
        (
            "film.mkv",
            "24",
            ("-c:v", "libx264", "-preset", "veryfast", "-x264-params", "open-gop=1", "-crf", "5"),
        ),
        ("film.webm", "25", WEBM),
    ],
)
async def test_chunks_are_joined_without_a_seam(
    place: Desk, name: str, rate: str, codec: Sequence[str]
) -> None:
    path = library(place) / name
    film(path, seconds=9, rate=rate, gop=20, codec=codec)
    place.limits = EncodingLimits(chunk_s=2)

    outcome = await reencoded(place, name, targetBitrate=300)
    made, source = seen(place.output_of(outcome)), seen(path)

    assert "encoded in one go" not in place.diary.text
    assert place.diary.text.count("FFmpeg command") >= 4
    assert len(made.instants) == len(source.instants)
    assert made.instants == pytest.approx(source.instants, abs=0.0011)
    assert made.sound_s == pytest.approx(9, abs=0.1)
    assert place.kept() == [outcome.result["outputPath"]]


async def paused(place: Desk, params: ReencodeStreamingParams, *, commands: int) -> Diary:
    """Run an attempt that is paused, and leave its checkpoint on the desk."""
    context = place.context()
    diary = Pausing(context.stop, commands)
    context.report = diary
    with pytest.raises(PausedHereError) as stopped:
        await ReencodeStreaming().process(params, context)
    place.checkpoint = json.loads(stopped.value.message)
    return diary


async def test_paused_attempt_goes_on_where_it_stopped(place: Desk) -> None:
    film(library(place) / "film.webm", seconds=8, gop=25, codec=WEBM)
    place.limits = EncodingLimits(chunk_s=2)
    params = await wish(place, "film.webm")

    before = await paused(place, params, commands=2)
    chunks = place.kept()
    outcome = await done(params, place.context())
    made = seen(place.output_of(outcome))

    assert before.text.count("FFmpeg command") == 2
    assert place.checkpoint == {"encoder": "libx264", "chunks": 4, "done": 2}
    assert len(chunks) == 2
    assert all(one.endswith(".kept") for one in chunks)
    assert "4 chunks, of which 2 are done." in place.diary.text
    assert place.diary.text.count("FFmpeg command") == 3
    assert place.diary.percents[1] >= 46
    assert len(made.instants) == 200
    assert made.instants == pytest.approx(seen(library(place) / "film.webm").instants, abs=0.0011)
    assert place.kept() == [outcome.result["outputPath"]]


async def test_chunks_of_another_wish_are_not_joined(place: Desk) -> None:
    film(library(place) / "film.webm", seconds=6, gop=25, codec=WEBM)
    place.limits = EncodingLimits(chunk_s=2)
    await paused(place, await wish(place, "film.webm"), commands=1)

    await ReencodeStreaming().process(await wish(place, "film.webm", crf=35), place.context())

    assert "3 chunks, of which 0 are done." in place.diary.text


async def test_cancelled_attempt_leaves_nothing(place: Desk) -> None:
    film(library(place) / "film.webm", seconds=6, codec=WEBM)
    params = await wish(place, "film.webm", preset="veryslow")
    context = place.context()
    running = asyncio.create_task(ReencodeStreaming().process(params, context))
    async with asyncio.timeout(PATIENCE_S):
        while not context.children.pids:  # noqa: ASYNC110 -- what is awaited happens in another process
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert place.kept() == []


async def test_output_lies_where_it_is_asked_for_once_it_is_committed(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)
    params = await wish(place, "card.webm", outputPath="playback/encoded.mp4")
    context = place.context()

    outcome = await done(params, context)
    (output,) = context.outputs
    (row,) = outcome.items

    assert (output.root, output.path) == ("outputs", "playback/encoded.mp4")
    assert (row.root, row.path) == ("outputs", "playback/encoded.mp4")
    assert place.kept() == [output.staged_path]


async def test_video_may_be_named_by_its_path(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)
    await scanned(place, "card.webm")
    params = ReencodeStreamingParams.model_validate({"inputPath": "card.webm", "preset": "ultrafast"})

    outcome = await done(params, place.context())

    assert place.output_of(outcome).exists()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "name an item by videoId or inputPath"),
        ({"inputPath": "other.webm"}, "no item at library/other.webm"),
        ({"inputPath": "card.webm", "outputPath": "playback/card.mkv"}, "must end in .mp4"),
        ({"inputPath": "card.webm", "outputRoot": "library"}, "is read-only here"),
        ({"inputPath": "card.webm", "outputPath": "../out.mp4"}, "must not hold '..'"),
    ],
)
async def test_wish_that_cannot_be_fulfilled_says_what_to_change(
    place: Desk, params: dict[str, str], words: str
) -> None:
    film(library(place) / "card.webm", seconds=1, codec=WEBM)
    await scanned(place, "card.webm")

    with pytest.raises(BadInputError, match=words):
        await ReencodeStreaming().process(ReencodeStreamingParams.model_validate(params), place.context())

    assert place.kept() == []


async def test_video_that_broke_since_its_scan_is_refused_as_changed(place: Desk) -> None:
    film(library(place) / "whole.mp4")
    params = await wish(place, "whole.mp4")
    first_part(library(place) / "whole.mp4", library(place) / "half.mp4")
    (library(place) / "half.mp4").replace(library(place) / "whole.mp4")

    with pytest.raises(BadInputError, match="changed since it was scanned"):
        await ReencodeStreaming().process(params, place.context())


async def test_disk_without_room_is_want_of_capacity(place: Desk) -> None:
    film(library(place) / "card.webm", codec=WEBM)
    place.limits = EncodingLimits(free_floor_mib=1 << 40)

    with pytest.raises(CapacityError, match="free_disk_floor_mib"):
        await reencoded(place, "card.webm")


async def test_output_beyond_its_limit_fails_for_good_and_leaves_nothing(place: Desk) -> None:
    film(library(place) / "large.webm", seconds=4, size="1280x720", codec=WEBM)
    place.limits = EncodingLimits(output_mib=1)

    with pytest.raises(BadInputError, match="output_limit_mib"):
        await reencoded(place, "large.webm", crf=1, targetBitrate=100_000)

    assert place.kept() == []


def test_run_that_says_more_than_it_makes_counts_for_what_it_makes(place: Desk) -> None:
    meter = Meter(context=place.context(), total_s=10, until=100)
    for out_time_s in (1, 2, 9):
        meter.take({"out_time_us": f"{out_time_s}000000"}, run_s=2)
    meter.passed(2)
    meter.take({"out_time_us": "1000000"}, run_s=2)

    assert place.diary.percents == [10, 20, 20, 20, 30]
