"""A scan of a bucket fetches what can be media, and nothing else."""

from pathlib import Path

from callsheet_cpu_worker.processors.scan import Scan

from callsheet.params import ScanParams
from tests.support.attempts import desk
from tests.support.gates import gate_before
from tests.support.media import quadrants
from tests.support.objects import Bucket, Objects


async def test_objects_that_are_no_media_are_not_fetched(
    objects: Objects, bucket: Bucket, tmp_path: Path
) -> None:
    quadrants().save(tmp_path / "a.png")
    bucket.put("photo.png", (tmp_path / "a.png").read_bytes())
    bucket.put("without-suffix", (tmp_path / "a.png").read_bytes())
    bucket.put("notes.txt", b"n" * 9_000_000)
    bucket.put("empty", b"")
    async with (
        gate_before(objects.endpoint) as gate,
        desk(tmp_path, elsewhere={"library": objects.settings(bucket.name, endpoint=gate.endpoint)}) as at,
    ):
        await Scan().process(ScanParams(), at.context())

        assert at.library.paths == ["photo.png", "without-suffix"]
        assert gate.passed < 1_000_000
        assert " 0 passed over" in at.diary.text
