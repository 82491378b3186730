"""FFmpeg as a child that encodes: ended when it stands still, yielding to others, kept chunks swept late."""

import asyncio
import os
from collections.abc import Mapping
from inspect import Parameter, signature
from pathlib import Path

import pytest

from callsheet.catalog import CATALOG
from callsheet.errors import TransientError
from callsheet.service.settings import RootSettings
from callsheet.worker.children import AttemptChildren
from callsheet.worker.encode.limits import EncodingLimits
from callsheet.worker.ffmpeg import Terms, ffmpeg_path, ffmpeg_version, run_ffmpeg
from callsheet.worker.lease import Lease
from callsheet.worker.leftovers import Leftover, Standing
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.stopping import Stop
from callsheet.worker.storage.library import Roots
from callsheet.worker.storage.staging import kept_files, stage_kept

CARD = ["-f", "lavfi", "-re", "-i", "testsrc2=size=64x64:rate=10:duration=3", "-f", "null", "-"]


async def test_program_that_stands_still_is_ended() -> None:
    reading, writing = os.pipe()
    try:
        source = ["-protocol_whitelist", "fd", "-f", "h264", "-fd", str(reading), "-i", "fd:"]
        with pytest.raises(TransientError, match=r"stood still for 0\.8 s"):
            await run_ffmpeg(
                ffmpeg_path(os.environ),
                [*source, "-f", "null", "-"],
                deadline_s=60,
                pass_fds=[reading],
                terms=Terms(stall_limit_s=0.8),
            )
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_nothing_runs_without_a_limit(name: str) -> None:
    """A decode call has to name its deadline; a program is watched, and ends with its job at the latest."""
    assert 0 < CATALOG[name].run_limit_s <= 7 * 24 * 3600
    assert 0 < Terms().stall_limit_s <= 300
    assert 0 < EncodingLimits().stall_s <= 300
    assert signature(AttemptChildren.run).parameters["deadline_s"].default is Parameter.empty
    assert signature(AttemptChildren.ffmpeg).parameters["stall_limit_s"].default == Terms().stall_limit_s


async def test_program_that_goes_on_is_left_alone() -> None:
    run = await run_ffmpeg(ffmpeg_path(os.environ), CARD, deadline_s=60, terms=Terms(stall_limit_s=30))

    assert (run.exit_code, run.said_end) == (0, True)


@pytest.mark.parametrize(("background", "nice"), [(True, 19), (False, os.nice(0))])
async def test_program_that_nobody_waits_for_yields_to_others(*, background: bool, nice: int) -> None:
    seen: list[int] = []
    async with ChildPool(size=0) as pool:
        children = AttemptChildren(pool, Stop(), background=background)

        def look(block: Mapping[str, str]) -> None:
            if block["progress"] == "continue":
                (pid,) = children.pids
                seen.append(os.getpriority(os.PRIO_PROCESS, pid))

        await children.ffmpeg(["-stats_period", "0.1", *CARD], deadline_s=60, on_progress=look)

    assert set(seen) == {nice}


async def test_program_says_its_version() -> None:
    assert (await ffmpeg_version(ffmpeg_path(os.environ))).startswith("ffmpeg version ")


@pytest.mark.parametrize(
    ("standing", "goes"),
    [
        (Standing.HELD, False),
        (Standing.OVER, False),
        (Standing.ENDED, True),
        (Standing.SETTLED, True),
    ],
)
def test_kept_chunk_goes_only_when_its_job_is_final(standing: Standing, *, goes: bool) -> None:
    one = Leftover(root="made", path="a", lease=("j", 1), kept=True)

    assert one.may_go(standing) is goes


async def test_kept_files_are_found_by_every_attempt_of_their_job_alone(tmp_path: Path) -> None:
    roots = Roots({"made": RootSettings(path=tmp_path, writable=True)})
    for job_id, token in (("job-1", 1), ("job-2", 2)):
        lease = Lease(job_id=job_id, token=token, attempt=1)
        made = await stage_kept(roots, "made", "playback/00000-abc", lease)
        await made.write(b"chunk")
        assert kept_files(roots, "made", "playback", job_id) == {}
        await made.publish()

    found = await asyncio.to_thread(kept_files, roots, "made", "playback", "job-1")

    assert found == {"00000-abc": "playback/.00000-abc.job-1.0000000000000001.kept"}
    assert kept_files(roots, "made", "nowhere", "job-1") == {}
    assert list(roots.walk("made")) == []
