"""The sample library that people may keep beside the checkout: every file read right, every fault named."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from callsheet_cpu_worker.processors.derivatives_generate import DerivativesGenerate
from callsheet_cpu_worker.processors.scan import Scan
from PIL import Image

from callsheet.params import DerivativesGenerateParams, ScanParams
from callsheet.v1.library_service_pb2 import ItemState
from callsheet.worker.ffmpeg import ffmpeg_path
from callsheet.worker.samples import make_samples
from tests.support.attempts import Desk, desk

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "media"

#: Path: kind, width, height, rotation, duration, format, video codec, audio codec, pages.
EXPECTED: Mapping[str, tuple[int, int, int, int, float, str, str, str, int]] = {
    "audio/bear.mp3": (3, 0, 0, 0, 6.23, "mp3", "", "mp3", 0),
    "audio/bear_vorbis.ogg": (3, 0, 0, 0, 2.74, "ogg", "", "vorbis", 0),
    "audio/bear_with_picture.flac": (3, 0, 0, 0, 2.74, "flac", "", "flac", 0),
    "audio/viper.mp3": (3, 0, 0, 0, 40.98, "mp3", "", "mp3", 0),
    "documents/project_brief.pdf": (4, 0, 0, 0, 0, "PDF", "", "", 1),
    "documents/sample.pdf": (4, 0, 0, 0, 0, "PDF", "", "", 1),
    "images/elva.jpg": (1, 3072, 1780, 0, 0, "JPEG", "", "", 0),
    "images/elva_fairy.jpg": (1, 2592, 1728, 0, 0, "JPEG", "", "", 0),
    "images/exif_portrait_3.jpg": (1, 1200, 1800, 180, 0, "JPEG", "", "", 0),
    "images/exif_portrait_6.jpg": (1, 1200, 1800, 90, 0, "JPEG", "", "", 0),
    "images/exif_portrait_8.jpg": (1, 1200, 1800, 270, 0, "JPEG", "", "", 0),
    "images/larch.jpg": (1, 960, 640, 0, 0, "JPEG", "", "", 0),
    "images/logo_alpha.png": (1, 1200, 900, 0, 0, "PNG", "", "", 0),
    "images/red_panda.jpg": (1, 1600, 647, 0, 0, "JPEG", "", "", 0),
    "images/still_photo.heic": (1, 1080, 1920, 0, 0, "HEIF", "", "", 0),
    "images/ultra_hdr.jpg": (1, 3072, 4080, 0, 0, "JPEG", "", "", 0),
    "videos/bbb_1080p60_vp8.webm": (2, 1920, 1080, 0, 1.01, "webm", "vp8", "vorbis", 0),
    "videos/bbb_2500ms.ts": (2, 1920, 1080, 0, 2.51, "mpegts", "mpeg2video", "mp2", 0),
    "videos/big_buck_bunny_480p_30s.mp4": (2, 854, 480, 0, 30.0, "mp4", "h264", "aac", 0),
    "videos/crystal.mp4": (2, 720, 480, 0, 11.97, "mp4", "h264", "aac", 0),
    "videos/elf.mp4": (2, 720, 480, 0, 8.03, "mp4", "h264", "aac", 0),
    "videos/frog.mp4": (2, 720, 480, 0, 8.27, "mp4", "h264", "aac", 0),
    "videos/h265_metadata_track.mp4": (2, 1080, 1920, 90, 0.1, "mp4", "hevc", "aac", 0),
    "videos/hdr10_av1.mp4": (2, 720, 1280, 0, 4.24, "mp4", "av1", "aac", 0),
    "videos/monster.webm": (2, 720, 480, 0, 7.33, "webm", "vp8", "vorbis", 0),
    "videos/motion_photo_2_shots.mp4": (2, 1080, 1440, 270, 1.77, "mp4", "hevc", "", 0),
    "videos/pcm_quicktime.mov": (2, 1920, 1080, 0, 2.0, "mov", "h264", "pcm_s16le", 0),
    "videos/pig.mp4": (2, 720, 480, 0, 6.53, "mp4", "h264", "aac", 0),
    "videos/portrait_4k60.mp4": (2, 2160, 3840, 90, 0.31, "mp4", "h264", "aac", 0),
    "videos/rabbit320.webm": (2, 320, 240, 0, 7.8, "webm", "vp8", "vorbis", 0),
    "videos/rotated_270.mp4": (2, 720, 1280, 270, 4.97, "mp4", "h264", "aac", 0),
    "videos/timestamps_320x240.mp4": (2, 320, 240, 0, 15.54, "mp4", "h264", "aac", 0),
}
BROKEN = {
    "broken/empty.mp4": "empty",
    "broken/half.jpg": "end mark (EOI) is missing",
    "broken/noise.jpg": "no known signature",
    "broken/playlist_in_disguise.mp4": "ffconcat playlist",
    "broken/truncated.mp4": "'mdat' should reach to byte 2,797,504",
}


async def all_pictures(at: Desk) -> None:
    """Scan, and do the jobs that the scan submits."""
    await Scan().process(ScanParams(), at.context())
    for job in at.queue.submitted:
        params = DerivativesGenerateParams.model_validate_json(job.params_json)
        done = await DerivativesGenerate().process(params, at.context())
        assert (done.result["broken"], done.result["failed"]) == (0, 0), at.diary.text
        at.library.take(done)


def check_thumbnails(at: Desk) -> None:
    for item in at.library.rows.values():
        if item.facts.state != ItemState.ITEM_STATE_OK:
            assert not item.derivatives
            continue
        (row,) = (one.facts for one in item.derivatives if one.facts.kind == "thumbnail")
        with Image.open(at.derivatives / row.path) as image:
            assert (image.format, max(image.size)) == ("JPEG", min(300, max(image.size)))
            assert float(np.asarray(image.convert("L")).std()) > 5, item.facts.path
            if item.facts.width:
                wide = item.facts.width > item.facts.height
                assert (image.width > image.height) == wide, item.facts.path


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample media is not beside this checkout")
async def test_every_sample_is_read_right_and_every_fault_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path, SAMPLES, size=2) as at:
        await all_pictures(at)
        for path, expected in EXPECTED.items():
            facts = at.library.at(path).facts
            assert facts.state == ItemState.ITEM_STATE_OK, facts.reason
            shape = (facts.kind, facts.width, facts.height, facts.rotation)
            content = (facts.format, facts.video_codec, facts.audio_codec, facts.pages)
            said: tuple[object, ...] = (*shape, facts.duration_s, *content)
            assert said == (*expected[:4], pytest.approx(expected[4], abs=0.01), *expected[5:]), path
            assert facts.size_bytes == (SAMPLES / path).stat().st_size
        for path, reason in BROKEN.items():
            facts = at.library.at(path).facts
            assert facts.state == ItemState.ITEM_STATE_BROKEN
            assert reason in facts.reason
        assert set(at.library.paths) >= set(EXPECTED) | set(BROKEN)
        check_thumbnails(at)


async def test_library_that_is_made_for_those_without_media_shows_all_kinds(tmp_path: Path) -> None:
    make_samples(tmp_path / "library", ffmpeg_path({}))
    async with desk(tmp_path, size=2) as at:
        await all_pictures(at)
        states = [item.facts.state for item in at.library.rows.values()]
        assert states.count(ItemState.ITEM_STATE_OK) >= 10
        assert states.count(ItemState.ITEM_STATE_BROKEN) == 2
        assert {item.facts.kind for item in at.library.rows.values()} == {1, 2, 3, 4}
        phone = at.library.at("videos/phone.mp4").facts
        assert (phone.width, phone.height, phone.rotation) == (640, 360, 270)
        check_thumbnails(at)
