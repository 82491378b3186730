"""Videos measured second by second: what is known of each second is found there."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from callsheet.errors import BadInputError
from callsheet.media.faults import FaultKind
from callsheet.media.series import SILENCE_DB, Series, series_of, table_of
from callsheet.worker import measuring
from callsheet.worker.decode.measure import measure
from callsheet.worker.decode.works import MeasureArguments
from callsheet.worker.encode.chunks import Chunks
from callsheet.worker.processor import BrokenMediaError
from callsheet.worker.sources import opened
from callsheet.worker.stopping import PausedHereError
from callsheet.worker.stream.commands import StopReason
from tests.support.attempts import Desk, desk, scanned
from tests.support.folders import folder_of
from tests.support.media import film, first_part, sound, video
from tests.support.programmes import MOVING, STILL, Scene, programme


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as place:
        yield place


def series(path: Path, *, pixels_max: float = 1e12) -> Series:
    with path.open("rb") as file:
        answer = measure(MeasureArguments(pixels_max=pixels_max), [file.fileno()])
    assert answer.value.fault is None, answer.value.fault
    assert answer.value.sparse == (pixels_max < 1e6)
    return series_of([table_of(answer.blobs[0])])


def test_each_second_says_what_is_shown_and_heard_in_it(tmp_path: Path) -> None:
    programme(
        tmp_path / "a.mp4",
        Scene(seconds=3, picture="black"),
        Scene(seconds=3, picture=MOVING, volume=0.5),
        Scene(seconds=3, picture=STILL, volume=0.01),
        Scene(seconds=3, picture="gray"),
    )

    found = series(tmp_path / "a.mp4")

    assert found.seconds == 12
    assert (found.pictures, found.sound) == (True, True)
    assert found.black == pytest.approx([1] * 3 + [0] * 6 + [1] * 3)
    assert found.brightness[:3].max() < 3
    assert found.brightness[9:] == pytest.approx([128] * 3, abs=4)
    assert found.motion[3:6].min() > 1
    assert found.motion[6:9].max() < 0.25
    assert found.frozen[7] == 1
    assert found.frozen[3:6].max() == 0
    assert found.colourfulness[3:9].min() > 60
    assert found.colourfulness[[1, 10]].max() < 3
    assert found.sharpness[3:9].min() > 100 * max(1.0, float(found.sharpness[1]))
    assert found.loudness_db[4] == pytest.approx(-9, abs=1)
    assert found.loudness_db[7] == pytest.approx(-43, abs=1)
    assert found.loudness_db[[1, 10]].max() < -80
    assert found.voice_band[4] > 0.95


def test_cut_is_no_motion(tmp_path: Path) -> None:
    programme(tmp_path / "a.mp4", Scene(seconds=2, picture="white"), Scene(seconds=2, picture="black"))

    assert series(tmp_path / "a.mp4").motion.max() < 1


def test_long_video_is_measured_at_its_keyframes_with_the_same_outcome(tmp_path: Path) -> None:
    programme(
        tmp_path / "a.mp4",
        Scene(seconds=4, picture=STILL, volume=0.1),
        Scene(seconds=4, picture=MOVING, volume=0.1),
        Scene(seconds=4, picture="black"),
    )

    whole, sparse = (series(tmp_path / "a.mp4", pixels_max=most) for most in (1e12, 1))

    assert sparse.brightness == pytest.approx(whole.brightness, abs=6)
    assert sparse.black == pytest.approx(whole.black)
    assert sparse.motion[:4].max() < 0.25
    assert sparse.motion[4:8].min() > 1
    assert sparse.loudness_db == pytest.approx(whole.loudness_db)


@pytest.mark.parametrize("gop", [10, 1000])
async def test_windows_of_a_video_give_what_the_whole_gives(
    place: Desk, monkeypatch: pytest.MonkeyPatch, gop: int
) -> None:
    path = folder_of(place.roots["library"]) / "a.mp4"
    programme(path, *(Scene(seconds=2, picture=one, volume=0.2) for one in (MOVING, "red", STILL)), gop=gop)
    item = await scanned(place, "a.mp4")
    whole = series(path)
    monkeypatch.setattr(measuring, "WINDOW_S", 2)

    with await opened(place.context(), item) as file:
        found = await measuring.measured(place.context(), item, file)

    assert found.seconds == whole.seconds == 6
    assert found.brightness == pytest.approx(whole.brightness, abs=3)
    assert found.motion == pytest.approx(whole.motion, abs=1)
    assert found.loudness_db == pytest.approx(whole.loudness_db, abs=1)


async def test_paused_measurement_goes_on_behind_the_last_window(
    place: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme(folder_of(place.roots["library"]) / "a.mp4", Scene(seconds=6, volume=0.2))
    item = await scanned(place, "a.mp4")
    monkeypatch.setattr(measuring, "WINDOW_S", 2)

    async def attempt(reason: StopReason | None) -> Series:
        context = place.context()
        if reason is not None:
            context.stop.ask(reason, begun=True)
        kept = Chunks(context=context, root="outputs", folder="measured", key="k")
        with await opened(context, item) as file:
            return await measuring.measured(context, item, file, kept=kept)

    with pytest.raises(PausedHereError):
        await attempt(StopReason.PAUSED)
    assert len(place.kept()) == 1
    found = await attempt(None)

    assert "1 of 3 parts were measured before." in place.diary.text
    assert found.seconds == 6
    assert place.diary.percents == sorted(place.diary.percents)
    assert place.diary.percents[-1] > 90


def test_video_without_sound_is_silent(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4")

    found = series(tmp_path / "a.mp4")

    assert (found.pictures, found.sound) == (True, False)
    assert set(found.loudness_db.tolist()) == {SILENCE_DB}
    assert np.isfinite(found.motion).all()


def test_recording_has_no_pictures(tmp_path: Path) -> None:
    sound(tmp_path / "a.mp3", seconds=3)

    found = series(tmp_path / "a.mp3")

    assert (found.pictures, found.sound, found.seconds) == (False, True, 3)
    assert found.black.min() == 1


def test_short_portrait_of_a_few_frames_has_one_second(tmp_path: Path) -> None:
    film(tmp_path / "a.mkv", seconds=0.4, size="90x160")

    found = series(tmp_path / "a.mkv")

    assert found.seconds == 1
    assert found.motion[0] > 0


def test_transport_stream_that_begins_late_is_counted_from_its_beginning(tmp_path: Path) -> None:
    film(tmp_path / "a.ts", seconds=3)

    found = series(tmp_path / "a.ts")

    assert found.seconds == 3
    assert found.motion.min() > 1


async def test_broken_and_changed_files_are_refused(place: Desk) -> None:
    folder = folder_of(place.roots["library"])
    film(folder / "a.mkv", seconds=3)
    item = await scanned(place, "a.mkv")
    first_part(folder / "a.mkv", folder / "cut.mkv", 0.01)
    with (folder / "cut.mkv").open("rb") as file:
        answer = measure(MeasureArguments(), [file.fileno()])
    assert answer.value.fault is not None
    assert answer.value.fault.kind in {FaultKind.UNDECODABLE, FaultKind.TRUNCATED}

    (folder / "cut.mkv").rename(folder / "a.mkv")
    with await opened(place.context(), item) as file, pytest.raises(BadInputError, match="changed since"):
        await measuring.measured(place.context(), item, file)

    item.facts.identity = answer.value.identity
    with await opened(place.context(), item) as file, pytest.raises(BrokenMediaError) as caught:
        await measuring.measured(place.context(), item, file)
    assert [one.item_id for one in caught.value.broken] == [item.id]
