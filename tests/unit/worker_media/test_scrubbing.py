"""Sheets for scrubbing and waveforms of real files: the right picture at the right place of time."""

import io
import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from callsheet.media.sprites import TILES_MAX, Sheet, sheet_of, track
from callsheet.worker.decode.sound import waveform
from callsheet.worker.decode.tiles import draw_sheet
from callsheet.worker.decode.works import SheetArguments, SheetMade, WaveformArguments
from tests.support.media import corners, ffmpeg, first_part, quadrants, rotated_video, sound, video

SAID: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


def drawn(path: Path) -> tuple[SheetMade, Image.Image]:
    with path.open("rb") as file:
        answer = draw_sheet(SheetArguments(), [file.fileno()])
    assert answer.value.fault is None, answer.value.fault
    return answer.value, Image.open(io.BytesIO(answer.blobs[0]))


def tile(picture: Image.Image, sheet: Sheet, number: int) -> Image.Image:
    left, top = sheet.corner(number)
    return picture.crop((left, top, left + sheet.tile_width, top + sheet.tile_height))


@pytest.mark.parametrize("keyframes", ["5", "1000"])
def test_every_tile_shows_its_own_second(tmp_path: Path, keyframes: str) -> None:
    """Also where one keyframe stands for the whole video."""
    colours = ("red", "green", "blue", "yellow")
    inputs = [
        part
        for one in colours
        for part in ("-f", "lavfi", "-i", f"color={one}:size=320x180:rate=10:duration=1")
    ]
    ffmpeg(*inputs, "-filter_complex", "concat=n=4", "-g", keyframes, "-keyint_min", keyframes,
           "-sc_threshold", "0", "-pix_fmt", "yuv420p", str(tmp_path / "a.mp4"))  # fmt: skip
    made, picture = drawn(tmp_path / "a.mp4")
    assert made.sheet is not None
    assert (made.sheet.tiles, made.sheet.columns, picture.size) == (4, 4, (640, 90))
    said = [np.asarray(tile(picture, made.sheet, number)).mean(axis=(0, 1)) > 90 for number in range(4)]
    assert [tuple(map(bool, one)) for one in said] == [
        (True, False, False), (False, True, False), (False, False, True), (True, True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_tiles_are_upright(tmp_path: Path, degrees: int) -> None:
    rotated_video(tmp_path / "a.mp4", degrees)
    made, picture = drawn(tmp_path / "a.mp4")
    assert made.sheet is not None
    assert corners(tile(picture, made.sheet, 0)) == "RGBW"


def test_long_video_has_no_more_tiles_than_one_sheet_holds() -> None:
    sheet = sheet_of(7200.0, 1920, 1080)
    assert (sheet.tiles, sheet.interval_s, sheet.size) == (TILES_MAX, 72.0, (1600, 900))
    assert sheet.instants[0] == 36.0
    assert max(sheet.instants) < 7200.0


@pytest.mark.parametrize("duration_s", [0.0, 0.04, 1.0, 59.9, 100.0, 100.4, 3600.0, 86_400.0])
def test_cues_cover_the_video_without_a_gap_and_lie_on_the_sheet(duration_s: float) -> None:
    sheet = sheet_of(duration_s, 640, 480)
    text = track(sheet, "sprite")
    assert text.startswith("WEBVTT\n\n")
    stamp = r"(\d+):(\d\d):(\d\d\.\d{3})"
    cues = re.findall(rf"{stamp} --> {stamp}\nsprite#xywh=([\d,]+)\n", text)
    assert len(cues) == sheet.tiles
    end_s = 0.0
    for cue in cues:
        start_s = int(cue[0]) * 3600 + int(cue[1]) * 60 + float(cue[2])
        assert start_s == pytest.approx(end_s, abs=0.002)
        end_s = int(cue[3]) * 3600 + int(cue[4]) * 60 + float(cue[5])
        assert end_s > start_s
        x, y, width, height = map(int, cue[6].split(","))
        assert (x + width, y + height) <= sheet.size
        assert y + height <= sheet.size[1]
    assert end_s == pytest.approx(duration_s, abs=0.002)


def test_sheet_of_what_is_no_video_is_refused_and_of_half_a_file_is_truncated(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.jpg")
    video(tmp_path / "whole.mp4")
    first_part(tmp_path / "whole.mp4", tmp_path / "half.mp4")
    for name, kind in (("a.jpg", "unsupported"), ("half.mp4", "truncated")):
        with (tmp_path / name).open("rb") as file:
            answer = draw_sheet(SheetArguments(), [file.fileno()])
        assert answer.value.fault is not None
        assert (answer.value.fault.kind, answer.blobs) == (kind, ())


def peaks_of(path: Path) -> tuple[dict[str, object], Image.Image]:
    with path.open("rb") as file:
        answer = waveform(WaveformArguments(), [file.fileno()])
    assert answer.value.fault is None, answer.value.fault
    return SAID.validate_json(answer.blobs[0]), Image.open(io.BytesIO(answer.blobs[1]))


def recording(path: Path, samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate_hz: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())


def test_peaks_are_the_lowest_and_highest_samples_of_each_stretch(tmp_path: Path) -> None:
    samples = np.random.default_rng(7).integers(-32768, 32767, 8000 * 3 + 100, dtype=np.int16)
    recording(tmp_path / "a.wav", samples)
    said, picture = peaks_of(tmp_path / "a.wav")
    expected = [
        value >> 8
        for start in range(0, samples.size, 256)
        for value in (int(samples[start : start + 256].min()), int(samples[start : start + 256].max()))
    ]
    assert said == {
        "version": 2, "channels": 1, "sample_rate": 8000, "samples_per_pixel": 256, "bits": 8,
        "length": len(expected) // 2, "data": expected,
    }  # fmt: skip
    assert (picture.format, picture.size) == ("PNG", (1600, 400))


def test_long_recording_has_longer_stretches_and_the_same_peaks(tmp_path: Path) -> None:
    samples = np.zeros(8000 * 600, dtype=np.int16)
    samples[8000 * 300], samples[8000 * 301] = 32767, -32768
    recording(tmp_path / "a.wav", samples)
    said, _ = peaks_of(tmp_path / "a.wav")
    assert said["samples_per_pixel"] == 1024
    data = np.array(TypeAdapter(list[int]).validate_python(said["data"])).reshape(-1, 2)
    assert data.shape == (-(-samples.size // 1024), 2)
    assert list(np.flatnonzero(data[:, 1])) == [8000 * 300 // 1024]
    assert list(np.flatnonzero(data[:, 0])) == [8000 * 301 // 1024]
    assert (data.min(), data.max()) == (-128, 127)


def test_waveform_is_as_high_as_the_recording_is_loud(tmp_path: Path) -> None:
    tone = np.sin(np.arange(16_000) * 0.3) * 30_000
    recording(tmp_path / "a.wav", np.concatenate((tone * 0.1, tone)).astype(np.int16))
    _, picture = peaks_of(tmp_path / "a.wav")
    inked = np.asarray(picture.convert("RGB"))[:, :, 0] < 150
    quiet, loud = inked[:, 100:700].any(axis=1).sum(), inked[:, 900:1500].any(axis=1).sum()
    assert loud > 360
    assert 25 < quiet < 60


def test_waveform_of_a_compressed_recording_is_at_its_own_rate(tmp_path: Path) -> None:
    sound(tmp_path / "a.mp3")
    said, _ = peaks_of(tmp_path / "a.mp3")
    rate_hz, stretch, length = (said[name] for name in ("sample_rate", "samples_per_pixel", "length"))
    assert isinstance(rate_hz, int)
    assert isinstance(stretch, int)
    assert isinstance(length, int)
    assert length * stretch / rate_hz == pytest.approx(2, abs=0.2)
    assert json.dumps(said)
