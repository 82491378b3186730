"""Tags by rule: what metadata and measurements give, and that they give no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.media.series import COLUMNS, series_of
from callsheet.media.tags import Known, measured_tags, metadata_tags, still_tags

BLANK = (0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
STATIC = (0.2, 120.0, 300.0, 50.0, 0.0, 0.0)
BUSY = (20.0, 200.0, 300.0, 80.0, 0.0, 0.0)
SILENCE = (-100.0, 0.0, 0.0)
TONE = (-15.0, 0.1, 1.0)
SPEECH = (-25.0, 9.0, 0.7)
NONE = (np.nan, np.nan, np.nan)


def tagged(*seconds: tuple[float, ...]) -> dict[str, float]:
    table = np.array(seconds, dtype=np.float32).reshape(-1, len(COLUMNS))
    return {tag.name: tag.score for tag in measured_tags(series_of([table]))}


@pytest.mark.parametrize(
    ("known", "names"),
    [
        (Known(kind="image", width=4000, height=3000), ["image", "landscape", "4k"]),
        (
            Known(kind="video", width=1080, height=1920, duration_s=9.9, frame_rate=60, audio_codec="aac"),
            ["video", "portrait", "1080p", "clip", "with-sound-track", "high-frame-rate"],
        ),
        (
            Known(kind="video", width=320, height=318, duration_s=4000),
            ["video", "square", "low-resolution", "very-long", "without-sound-track"],
        ),
        (Known(kind="audio", duration_s=599, audio_codec="mp3"), ["audio", "medium-length"]),
        (Known(kind="document"), ["document"]),
    ],
)
def test_metadata_gives_what_is_certain(known: Known, names: list[str]) -> None:
    found = metadata_tags(known)

    assert [tag.name for tag in found] == names
    assert {tag.score for tag in found} == {1.0}


def test_classes_are_those_of_most_seconds_and_say_of_how_many() -> None:
    found = tagged((*STATIC, *TONE), (*STATIC, *TONE), (*STATIC, *TONE), (*BUSY, *TONE))

    assert found["static"] == found["medium-light"] == found["colourful"] == 0.75
    assert "much-motion" not in found
    assert found["loud"] == 1.0


def test_seconds_that_show_nothing_say_nothing_of_light_and_colour() -> None:
    found = tagged((*BLANK, *SILENCE), (*BUSY, *SILENCE))

    assert found["blank-parts"] == 0.5
    assert (found["bright"], found["vivid"], found["much-motion"]) == (1.0, 1.0, 1.0)
    assert tagged((*BLANK, *SILENCE)) == {"blank": 1.0, "silent": 1.0}


def test_sound_that_swings_in_the_voice_band_is_like_speech_and_a_tone_is_not() -> None:
    assert tagged((*STATIC, *SPEECH), (*STATIC, *SPEECH), (*STATIC, *SILENCE))["speech-like"] == 1.0
    assert tagged((*STATIC, *SPEECH), (*STATIC, *SILENCE))["silent-parts"] == 0.5
    assert "speech-like" not in tagged((*STATIC, *TONE))
    assert "speech-like" not in tagged((*STATIC, *SPEECH), (*STATIC, *TONE), (*STATIC, *TONE))


def test_what_is_not_there_gives_no_tags() -> None:
    assert not {"silent", "loud", "speech-like"} & set(tagged((*STATIC, *NONE)))
    assert tagged((*(np.nan,) * 6, *TONE)) == {"loud": 1.0}
    assert tagged() == {}


@given(
    st.lists(
        st.tuples(
            st.floats(0, 255, width=32),
            st.floats(0, 255, width=32),
            st.floats(0, 5000, width=32),
            st.floats(0, 200, width=32),
            st.floats(0, 1, width=32),
            st.floats(0, 1, width=32),
            st.floats(-100, 0, width=32),
            st.floats(0, 60, width=32),
            st.floats(0, 1, width=32),
        ),
        max_size=30,
    )
)
def test_whatever_is_measured_scores_lie_between_nothing_and_all_and_no_tag_comes_twice(
    seconds: list[tuple[float, ...]],
) -> None:
    table = np.array(seconds, dtype=np.float32).reshape(-1, len(COLUMNS))
    found = measured_tags(series_of([table]))

    assert all(0 < tag.score <= 1 for tag in found)
    assert len({tag.name for tag in found}) == len(found)


def test_picture_is_tagged_by_light_and_colour() -> None:
    ramp = np.zeros((100, 100, 3), dtype=np.uint8)
    ramp[:, :50] = (255, 60, 0)
    ramp[:, 50:] = (0, 200, 255)

    assert [tag.name for tag in still_tags(ramp)] == ["medium-light", "vivid"]
    assert [tag.name for tag in still_tags(np.zeros((100, 100, 3), np.uint8))] == ["blank"]
