"""What FFmpeg's words mean, how files are cut, and which of them are copied: pure decisions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from callsheet.errors import BadInputError, CapacityError, TransientError
from callsheet.media.encoders import LADDER, PRESETS, h264_options, rungs
from callsheet.media.ffmpeg_says import failure_of, last_line, pace_of
from callsheet.media.streaming import StreamingWish, conforms, streaming_size, video_filters
from callsheet.media.survey import AudioTrack, Survey, VideoTrack, plan_chunks
from callsheet.worker.encode.commands import concat_list


def track(**changes: object) -> VideoTrack:
    facts: dict[str, object] = {
        "index": 0,
        "codec": "h264",
        "profile": "High",
        "width": 1280,
        "height": 720,
        "pixel_format": "yuv420p",
        "time_base": (1, 12_800),
        "longest_gop_s": 2.0,
    }
    return TypeAdapter(VideoTrack).validate_python({**facts, **changes})


def survey(video: VideoTrack, *, bitrate_kbps: int = 1500, audio: str = "aac") -> Survey:
    sound = AudioTrack(index=1, codec=audio, sample_rate=48_000, channels=2)
    return Survey(format="mov", duration_s=60, bitrate_kbps=bitrate_kbps, video=video, audio=sound)


def test_file_that_every_browser_plays_conforms() -> None:
    assert conforms(survey(track()), StreamingWish())


@pytest.mark.parametrize(
    "changes",
    [
        {"codec": "hevc"},
        {"profile": "High 4:2:2"},
        {"pixel_format": "yuvj420p"},
        {"width": 2560, "height": 1440},
        {"width": 1281},
        {"transfer": 16},
        {"interlaced": True},
        {"plain_aspect": False},
        {"longest_gop_s": 10.0},
    ],
)
def test_file_that_some_player_stumbles_over_does_not_conform(changes: dict[str, object]) -> None:
    assert not conforms(survey(track(**changes)), StreamingWish())


def test_file_that_takes_too_much_or_has_other_sound_does_not_conform() -> None:
    assert not conforms(survey(track(), bitrate_kbps=2200), StreamingWish())
    assert not conforms(survey(track(), audio="opus"), StreamingWish())


@given(width=st.integers(1, 9000), height=st.integers(1, 9000))
def test_streaming_sizes_are_even_and_never_larger_than_needed(width: int, height: int) -> None:
    made = streaming_size(track(width=width, height=height))

    assert all(side % 2 == 0 and side >= 2 for side in made)
    assert min(made) <= 1080
    assert max(made) <= 4096
    assert all(side <= max(2, was + 1) for side, was in zip(made, (width, height), strict=True))


def test_only_frames_that_need_it_are_mapped_or_deinterlaced() -> None:
    plain = " ".join(video_filters(track()))
    special = " ".join(video_filters(track(transfer=18, interlaced=True)))

    assert "tonemap" not in plain
    assert "bwdif" not in plain
    assert special.index("bwdif") < special.index("tonemap")


@given(
    gaps=st.lists(st.integers(1, 50), min_size=1, max_size=200),
    every=st.integers(1, 30),
    chunk=st.integers(1, 500),
    most=st.integers(1, 20),
)
def test_every_frame_is_in_exactly_one_chunk_and_each_begins_with_a_keyframe(
    gaps: list[int], every: int, chunk: int, most: int
) -> None:
    pts = [sum(gaps[:count]) for count in range(1, len(gaps) + 1)]
    keys = pts[::every]

    chunks = plan_chunks(reversed(pts), keys, chunk_ticks=chunk, chunks_max=most)

    assert [one.start_pts for one in chunks] == sorted({one.start_pts for one in chunks} & set(keys))
    assert len(chunks) <= most
    assert sum(one.frames for one in chunks) == len(pts)
    for one in chunks:
        assert one.frames == sum(one.start_pts <= at < one.end_pts for at in pts)


def test_nothing_is_cut_where_there_are_no_frames() -> None:
    assert plan_chunks([], [], chunk_ticks=10, chunks_max=10) == ()


def test_list_of_chunks_does_not_add_up_rounding() -> None:
    third = Fraction(1, 3)

    lines = concat_list([(7, third), (8, third), (9, third)]).splitlines()

    assert lines[:3] == ["ffconcat version 1.0", "file 'fd:'", "option fd 7"]
    assert sum(Fraction(line.split()[1]) for line in lines if line.startswith("duration")) == 1


@pytest.mark.parametrize(
    ("code", "stderr", "kind"),
    [
        (183, "Error opening input: Invalid data found when processing input", BadInputError),
        (1, "[mov @ 0x1] moov atom not found", BadInputError),
        (234, "Format not on whitelist", BadInputError),
        (228, "", CapacityError),
        (1, "av_interleaved_write_frame(): No space left on device", CapacityError),
        (244, "Cannot allocate memory", CapacityError),
        (-9, "", CapacityError),
        (-25, "", BadInputError),
        (187, "something else", TransientError),
        (1, "", TransientError),
    ],
)
def test_end_of_ffmpeg_has_a_kind(code: int, stderr: str, kind: type[Exception]) -> None:
    assert type(failure_of(code, stderr)) is kind


def test_last_line_names_the_cause() -> None:
    assert last_line("one\n[x] the cause\nConversion failed!\n\n") == "[x] the cause"
    assert last_line("") == "it said nothing"


def test_pace_tells_part_speed_and_rest() -> None:
    pace = pace_of({"out_time_us": "5000000", "speed": "2.5x"}, 10)

    assert (pace.part, pace.speed, pace.eta_s) == (0.5, 2.5, 2.0)
    assert pace.words == "2.50x, 2 s to go"


@pytest.mark.parametrize("said", ["N/A", "", "nan", "-9223372036854775808"])
def test_progress_that_ffmpeg_does_not_know_is_none(said: str) -> None:
    pace = pace_of({"out_time_us": said, "speed": "N/A"}, 10)

    assert (pace.done_s, pace.part, pace.eta_s) == (0, 0, None)


def test_rungs_of_the_ladder_need_what_they_use() -> None:
    assert [one.name for one in rungs(card=False, sessions=0)] == ["libx264"]
    assert [one.name for one in rungs(card=True, sessions=0)] == ["nvdec+libx264", "libx264"]
    assert list(rungs(card=True, sessions=1)) == list(LADDER)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_encoder_takes_every_preset(preset: str) -> None:
    made = [h264_options(one, preset=preset, crf=23, maxrate_kbps=2000, gop_s=2) for one in LADDER]

    assert {one["maxrate"] for one in made} == {"2000k"}
    assert {one["bufsize"] for one in made} == {"4000k"}
    assert all(one["preset"] for one in made)
