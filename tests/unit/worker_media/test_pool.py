"""Decode children that are killed, cancelled, too slow and replaced."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from callsheet.errors import BadInputError, CapacityError, TransientError
from callsheet.media.facts import MediaLimits
from callsheet.worker.decode.works import (
    CHECK,
    PROBE,
    RENDER,
    CheckArguments,
    Picture,
    ProbeArguments,
    RenderArguments,
)
from callsheet.worker.sandbox import processes
from callsheet.worker.sandbox.child_process import ChildGoneError, ChildProcess
from callsheet.worker.sandbox.processes import ChildFaultError, ChildPool, death
from callsheet.worker.sandbox.rights import SandboxLimits
from callsheet.worker.sandbox.work import Work
from callsheet.worker.stopping import Ladder
from tests.support.media import ffmpeg, quadrants, sound, video
from tests.support.processes import (
    children_of_this_process,
    cpu_ticks,
    descriptors,
    ended,
    reads_disk_when_idle,
    until,
)

PROBE_IT = ProbeArguments(name_promises_media=True)


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(size=1) as one:
        yield one


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    video(path, seconds=60, size="640x360")
    return path


async def probe(pool: ChildPool, path: Path) -> str:
    with path.open("rb") as file:
        answer = await pool.run(PROBE, PROBE_IT, descriptors=[file.fileno()], deadline_s=30)
    return answer.value.facts.format if answer.value.facts else str(answer.value.fault)


async def decode_all(pool: ChildPool, path: Path, deadline_s: float = 60, cpu_s: int | None = None) -> int:
    with path.open("rb") as file:
        answer = await pool.run(
            CHECK,
            CheckArguments(depth="decode"),
            descriptors=[file.fileno()],
            deadline_s=deadline_s,
            cpu_s=cpu_s,
        )
    return answer.value.frames


async def test_child_decodes_what_it_is_handed(pool: ChildPool, tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.png")
    assert await probe(pool, tmp_path / "a.png") == "PNG"
    assert "rlimits" in pool.strength


async def test_child_that_can_read_no_file_decodes_media_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for an ordinary user whose Python lies in somebody's closed home."""

    def no_folders(functions: Sequence[str]) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(processes, "python_folders", no_folders)
    video(tmp_path / "plain.mp4")
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nwords\n")
    ffmpeg("-i", str(tmp_path / "plain.mp4"), "-i", str(tmp_path / "words.srt"), "-map", "0", "-map", "1",
           "-c:v", "copy", "-c:s", "srt", "-attach", str(tmp_path / "words.srt"), "-metadata:s:t",
           "mimetype=text/plain", str(tmp_path / "film.mkv"))  # fmt: skip
    sound(tmp_path / "tone.mp3")
    pictures = ("a.png", "a.jpg", "a.heic", "a.avif", "a.webp", "a.gif", "a.tiff", "a.pdf")
    for name in pictures:
        quadrants().save(tmp_path / name)
    arguments = RenderArguments(pictures=(Picture(box=300),), hash_too=True)
    async with ChildPool(size=1) as pool:
        for name in ("plain.mp4", "film.mkv", "tone.mp3", *pictures):
            path = tmp_path / name
            with path.open("rb") as file:
                checked = await pool.run(
                    CHECK, CheckArguments(depth="decode"), descriptors=[file.fileno()], deadline_s=30
                )
                rendered = await pool.run(RENDER, arguments, descriptors=[file.fileno()], deadline_s=30)
            assert checked.value.fault is None, path
            assert len(rendered.blobs) == 1, path


async def test_one_child_serves_many_calls_and_is_replaced_after_its_share(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.png")
    async with ChildPool(size=1, limits=SandboxLimits(jobs_per_child=2)) as pool:
        served: list[set[int]] = []
        for _ in range(4):
            assert await probe(pool, tmp_path / "a.png") == "PNG"
            served.append(children_of_this_process())
        assert served[0] & served[1]
        assert not served[0] & served[3]


@pytest.mark.parametrize(("background", "nice", "idle"), [(True, 19, True), (False, os.nice(0), False)])
async def test_child_that_nobody_waits_for_yields_to_others(
    tmp_path: Path, *, background: bool, nice: int, idle: bool
) -> None:
    quadrants().save(tmp_path / "a.png")
    async with ChildPool(size=1, background=background) as pool:
        assert await probe(pool, tmp_path / "a.png") == "PNG"
        (pid,) = children_of_this_process()
        assert os.getpriority(os.PRIO_PROCESS, pid) == nice
        assert reads_disk_when_idle(pid) == idle


async def killed(pool: ChildPool, path: Path, number: signal.Signals) -> None:
    """Have a child decode a video and send it a signal when it is in the middle."""
    await probe(pool, path)
    (pid,) = children_of_this_process()
    before = cpu_ticks(pid)
    running = asyncio.create_task(decode_all(pool, path))
    await until(lambda: cpu_ticks(pid) >= before + 5 or running.done())
    os.kill(pid, number)
    await running


async def test_child_killed_from_outside_is_a_want_of_capacity_and_is_replaced(
    pool: ChildPool, long_video: Path, tmp_path: Path
) -> None:
    with pytest.raises(CapacityError, match="SIGKILL"):
        await killed(pool, long_video, signal.SIGKILL)
    quadrants().save(tmp_path / "a.png")
    assert await probe(pool, tmp_path / "a.png") == "PNG"


HANGS_UP = """
import os, sys
os.close(int(sys.argv[1]))
sys.stdin.read()
os._exit(7)
"""


@asynccontextmanager
async def hung_up() -> AsyncGenerator[tuple[ChildProcess, asyncio.StreamWriter]]:
    """Give a child that has hung up and ends with code 7 when what is written to is closed."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 -- the socket's own interface
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGS_UP, str(theirs.fileno()),
        pass_fds=(theirs.fileno(),), stdin=PIPE, stderr=PIPE, start_new_session=True,
    )  # fmt: skip
    theirs.close()
    assert process.stdin is not None
    child = ChildProcess(process, ours)
    with pytest.raises(ChildGoneError):
        await child.receive()
    yield child, process.stdin
    await child.end(Ladder(term_grace_s=5.0))


async def test_child_that_hangs_up_and_ends_is_told_by_its_exit_code() -> None:
    async with hung_up() as (child, keeps_it):
        assert child.process.returncode is None
        waiting = asyncio.create_task(child.exit_code(30))
        keeps_it.close()
        failure = death(await waiting, "", 1)
    assert isinstance(failure, TransientError)
    assert "the decoder ended with code 7" in failure.message


async def test_child_that_hangs_up_and_stays_is_said_to_have_fallen_silent() -> None:
    async with hung_up() as (child, _):
        code = await child.exit_code(0.1)
    failure = death(code, "", 1)
    assert code is None
    assert isinstance(failure, TransientError)
    assert "fell silent and was ended" in failure.message


async def test_content_that_brings_a_decoder_down_is_bad_input(pool: ChildPool, long_video: Path) -> None:
    with pytest.raises(BadInputError, match="SIGSEGV"):
        await killed(pool, long_video, signal.SIGSEGV)


async def test_deadline_ends_the_child(pool: ChildPool, long_video: Path) -> None:
    pid = await busy_with_nothing(pool, long_video)
    with pytest.raises(TransientError, match=r"longer than 0\.3 s"):
        await decode_all(pool, long_video, deadline_s=0.3)
    await until(lambda: ended(pid))


async def busy_with_nothing(pool: ChildPool, path: Path) -> int:
    await probe(pool, path)
    return next(iter(children_of_this_process()))


async def test_cancelled_call_ends_its_child(pool: ChildPool, long_video: Path) -> None:
    pid = await busy_with_nothing(pool, long_video)
    before = cpu_ticks(pid)
    running = asyncio.create_task(decode_all(pool, long_video))
    await until(lambda: cpu_ticks(pid) > before)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: ended(pid))
    assert await probe(pool, long_video) == "matroska"


async def test_decoder_that_needs_too_much_cpu_time_is_bad_input(pool: ChildPool, tmp_path: Path) -> None:
    short, slow = tmp_path / "short.mkv", tmp_path / "slow.mkv"
    video(short, seconds=4, size="1280x720")
    ffmpeg("-stream_loop", "99", "-i", str(short), "-c", "copy", str(slow))
    with pytest.raises(BadInputError, match="CPU time"):
        await decode_all(pool, slow, cpu_s=1)


async def test_no_child_is_left_when_the_pool_closes(long_video: Path) -> None:
    async with ChildPool(size=2) as pool:
        running = asyncio.create_task(decode_all(pool, long_video))
        await probe(pool, long_video)
        assert len(children_of_this_process()) == 2
        running.cancel()
    assert children_of_this_process() == set()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_pool_closed_while_its_children_start_leaves_none() -> None:
    async with ChildPool(size=2):
        pass
    assert children_of_this_process() == set()


def test_children_die_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    async def scene() -> None:
        code = (
            "import asyncio\n"
            "from callsheet.worker.sandbox.processes import ChildPool\n"
            "from callsheet.worker.decode.works import PROBE, ProbeArguments\n"
            "async def main():\n"
            "    async with ChildPool(size=1) as pool:\n"
            "        await pool.run(PROBE, ProbeArguments(name_promises_media=True),"
            " descriptors=[0], deadline_s=30)\n"
            "        print([c.process.pid for c in pool._children][0], flush=True)\n"
            "        await asyncio.Event().wait()\n"
            "asyncio.run(main())\n"
        )
        with (tmp_path / "empty").open("w+b") as empty:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, stdin=empty, stdout=asyncio.subprocess.PIPE
            )
        assert worker.stdout is not None
        pid = int(await worker.stdout.readline())
        worker.kill()
        await worker.wait()
        await until(lambda: ended(pid))

    asyncio.run(asyncio.wait_for(scene(), 30))


async def test_fault_of_our_own_is_told_from_a_fault_of_the_file(pool: ChildPool) -> None:
    wrong = Work("callsheet.worker.decode.probe:probe", ProbeArguments, MediaLimits)
    with pytest.raises(ChildFaultError, match="IndexError"):
        await pool.run(wrong, PROBE_IT, deadline_s=30)
    with open(os.devnull, "rb") as nothing:  # noqa: ASYNC230, PTH123 -- opens at once
        answer = await pool.run(PROBE, PROBE_IT, descriptors=[nothing.fileno()], deadline_s=30)
    assert answer.value.fault is not None


async def test_descriptors_do_not_pile_up(pool: ChildPool, tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.png")
    await probe(pool, tmp_path / "a.png")
    child = next(iter(children_of_this_process()))
    ours = descriptors()
    theirs = descriptors(child)
    for _ in range(20):
        await probe(pool, tmp_path / "a.png")
    assert descriptors() <= ours + 1
    assert descriptors(child) <= theirs + 1  # the last may not be closed yet


def test_pool_works_on_the_loop_that_services_use(tmp_path: Path) -> None:
    quadrants().save(tmp_path / "a.png")

    async def scene() -> str:
        async with ChildPool(size=1) as pool:
            return await probe(pool, tmp_path / "a.png")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(scene()) == "PNG"


def test_end_of_a_decoder_is_told_in_words() -> None:
    assert isinstance(death(-int(signal.SIGXCPU), "", 7), BadInputError)
    assert "7 s" in death(-int(signal.SIGXCPU), "", 7).message
    assert isinstance(death(3, "Traceback\nOSError: no", 1), TransientError)
    assert "OSError: no" in death(3, "Traceback\nOSError: no", 1).message
