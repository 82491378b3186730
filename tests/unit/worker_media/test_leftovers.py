"""What killed workers left is removed where the scheduler says that nobody can want it."""

import asyncio
from pathlib import Path

import pytest

from callsheet.service.settings import RootSettings
from callsheet.worker import leftovers
from callsheet.worker.lease import Lease
from callsheet.worker.leftovers import Standing, find, keep_clean, sweep
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.staging import StagedOutput, stage, stage_kept, stage_wanted
from callsheet.worker.stream.commands import LeaseKey
from tests.support.processes import until


class Answers:
    """Standings that a test writes down; what is not written down is held."""

    def __init__(self, known: dict[LeaseKey, Standing]) -> None:
        self.known = known
        self.asked: list[LeaseKey] = []

    async def ask(self, job_id: str, token: int) -> Standing:
        self.asked.append((job_id, token))
        return self.known.get((job_id, token), Standing.HELD)


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    for name in ("out", "in"):
        (tmp_path / name).mkdir()
    return Roots(
        {
            "made": RootSettings(path=tmp_path / "out", writable=True),
            "library": RootSettings(path=tmp_path / "in"),
            "away": RootSettings(path=tmp_path / "away", writable=True),
        }
    )


def lease(token: int) -> Lease:
    return Lease(job_id=f"job-{token}", token=token, attempt=1)


def unfinished(output: StagedOutput) -> Path:
    """Return where the content lies before it is published."""
    return Path(f"/proc/self/fd/{output.fd}").readlink()


async def test_what_another_job_made_for_its_parent_stays_until_the_parent_is_final(roots: Roots) -> None:
    chunk = await stage_kept(roots, "made", "playback/00000-abc", lease(2), job_id="parent")
    await chunk.publish()
    (found,) = await find(roots)

    assert found.kept
    assert found.lease == ("parent", 2)
    assert await sweep(roots, [found], Answers({("parent", 2): Standing.OVER}).ask) == []
    assert await find(roots) == [found]
    assert await sweep(roots, [found], Answers({("parent", 2): Standing.ENDED}).ask) == []
    assert await find(roots) == []


async def killed(output: StagedOutput, *, whole: bool = False) -> None:
    """Leave a file as a worker does that is killed while it writes, or after."""
    if whole:
        await output.publish()
        return
    content = unfinished(output)
    await output.write(b"half")
    half = content.read_bytes()
    await output.discard()
    content.write_bytes(half)


def names(folder: Path) -> list[str]:
    return sorted(path.name.split(".job-")[0].lstrip(".") for path in folder.rglob("*") if path.is_file())


async def test_only_files_of_leases_that_are_over_go(roots: Roots, tmp_path: Path) -> None:
    for token in (1, 2, 3):
        await killed(await stage_wanted(roots, "made", f"a/half-{token}", lease(token)))
        await killed(await stage_wanted(roots, "made", f"a/b/whole-{token}", lease(token)), whole=True)
    await killed(await stage(roots, "made", f"picture.{lease(2).file_tag}.jpg", lease(2)))
    (tmp_path / "out" / "notes.partial").write_bytes(b"somebody's own")
    answers = Answers({("job-2", 2): Standing.OVER, ("job-3", 3): Standing.SETTLED})

    held = await sweep(roots, await find(roots), answers.ask)

    assert [one.lease for one in held] == [("job-1", 1)] * 2
    assert names(tmp_path / "out") == ["half-1", "notes.partial", "whole-1", "whole-3"]
    assert answers.asked == [("job-1", 1), ("job-2", 2), ("job-3", 3)]


async def test_roots_that_are_only_read_are_left_alone(roots: Roots, tmp_path: Path) -> None:
    left = tmp_path / "in" / f".x.job-1.{lease(1).file_tag}.partial"
    left.write_bytes(b"x")

    assert await find(roots) == []
    assert left.exists()


async def test_attempt_whose_file_was_swept_cannot_publish_it(roots: Roots, tmp_path: Path) -> None:
    output = await stage_wanted(roots, "made", "cut.mp4", lease(1))
    await output.write(b"cut")

    assert await sweep(roots, await find(roots), Answers({("job-1", 1): Standing.OVER}).ask) == []

    with pytest.raises(Exception, match=r"made/cut\.mp4.*there is no such file"):
        await output.publish()
    assert names(tmp_path / "out") == []


async def test_lease_that_was_held_is_asked_about_again(roots: Roots, tmp_path: Path) -> None:
    await killed(await stage_wanted(roots, "made", "cut.mp4", lease(1)))
    answers = Answers({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leftovers, "AGAIN_S", 0.01)
        cleaning = asyncio.create_task(keep_clean(roots, answers.ask, interval_s=60.0))
        await until(lambda: len(answers.asked) == 2)
        assert names(tmp_path / "out") == ["cut.mp4"]

        answers.known["job-1", 1] = Standing.OVER
        await until(lambda: names(tmp_path / "out") == [])
        cleaning.cancel()
        await asyncio.gather(cleaning, return_exceptions=True)
