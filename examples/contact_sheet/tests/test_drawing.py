"""The sheet of a small video, drawn without a worker around it."""

import io
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from callsheet_contact_sheet.contact_sheet import ContactSheetParams
from callsheet_contact_sheet.drawing import DrawArguments, draw
from PIL import Image
from pydantic import ValidationError

from callsheet.media.faults import FaultKind

ARGUMENTS = DrawArguments(columns=3, rows=2, width=300)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A second each of red, green and blue."""
    colours = [
        word
        for name in ("red", "lime", "blue")
        for word in ("-f", "lavfi", "-i", f"color={name}:size=64x48:rate=10:duration=1")
    ]
    path = tmp_path / "film.mp4"
    joined = ["-filter_complex", "concat=n=3", "-g", "5", "-pix_fmt", "yuv420p", str(path)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", *colours, *joined]
    subprocess.run(command, check=True, timeout=60)
    return path


def test_sheet_shows_the_video_from_left_to_right(video: Path) -> None:
    with video.open("rb") as file:
        answer = draw(ARGUMENTS, [file.fileno()])
    sheet = Image.open(io.BytesIO(answer.blobs[0]))

    assert sheet.size == (300, 150) == (answer.value.width, answer.value.height)
    corner, end = sheet.getpixel((20, 20)), sheet.getpixel((280, 130))
    assert isinstance(corner, tuple)
    assert isinstance(end, tuple)
    assert (corner[0] > 200, corner[2] < 60) == (True, True)
    assert (end[0] < 60, end[2] > 200) == (True, True)


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("words")
    with (tmp_path / "a.mp4").open("rb") as file:
        fault = draw(ARGUMENTS, [file.fileno()]).value.fault

    assert fault is not None
    assert fault.kind is FaultKind.UNSUPPORTED


def test_parameters_have_bounds() -> None:
    with pytest.raises(ValidationError, match="columns"):
        ContactSheetParams.model_validate({"videoId": "01890a5d-ac96-774b-bcce-b302099a8057", "columns": 13})
