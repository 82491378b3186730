"""The watchdog ends the children of a worker that is killed or stopped, on real processes."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.patience import PATIENCE_S

#: Starts a watchdog and a child with a grandchild, neither tied to its parent's life, and tells their ids.
WORKER = """
import asyncio, sys
from callsheet.worker.guard import Guard

CHILD = (
    "import os, signal, subprocess, sys;"
    "grandchild = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
    "print(os.getpid(), grandchild.pid, flush=True);"
    "signal.pause()"
)

async def main():
    async with Guard() as guard:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, start_new_session=True)
        await asyncio.to_thread(sys.stdin.readline)
        limit_s = float(sys.argv[1])
        for _ in range(int(sys.argv[2])):
            guard.beat(limit_s)
            await asyncio.sleep(0.05)

asyncio.run(main())
"""


class Family:
    """A worker of the test, its child and the child's child."""

    def __init__(self, worker: Process, pids: list[int]) -> None:
        self.worker = worker
        self.descendants = [os.pidfd_open(pid) for pid in pids]

    async def descendants_end(self) -> None:
        """Wait until both are gone."""
        for descriptor in self.descendants:
            await gone(descriptor)


async def gone(descriptor: int) -> None:
    """Wait until the process behind a pidfd has ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
    loop.remove_reader(descriptor)


@asynccontextmanager
async def family(limit_s: float, *, beats: int = 1_000_000) -> AsyncGenerator[Family]:
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WORKER,
        str(limit_s),
        str(beats),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
    )
    assert worker.stdout is not None
    assert worker.stdin is not None
    one = Family(worker, [int(word) for word in (await worker.stdout.readline()).split()])
    worker.stdin.write(b"go\n")
    try:
        yield one
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        for descriptor in one.descendants:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        await worker.wait()


async def beaten_once(worker: int) -> None:
    """Wait until the watchdog has slept so often that it must have taken in several beats."""
    reads = 0
    while reads < 20:
        reads = await asyncio.to_thread(_reads_of_watchdog, worker)


def _reads_of_watchdog(worker: int) -> int:
    for children in Path(f"/proc/{worker}/task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            if b"watchdog.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                switches = Path(f"/proc/{child}/status").read_text(encoding="ascii")
                return int(switches.rpartition("nonvoluntary_ctxt_switches")[0].split()[-1])
    return 0


async def test_children_of_a_killed_worker_end_with_their_children() -> None:
    async with family(limit_s=60) as one:
        await beaten_once(one.worker.pid)

        one.worker.kill()

        await one.descendants_end()


async def test_children_of_a_stopped_worker_end_when_it_is_silent_for_too_long() -> None:
    async with family(limit_s=0.5) as one:
        await beaten_once(one.worker.pid)

        one.worker.send_signal(signal.SIGSTOP)

        await one.descendants_end()
        assert one.worker.returncode is None


async def test_children_of_a_worker_that_ends_its_watch_are_left_alone() -> None:
    async with family(limit_s=60, beats=30) as one:
        worker = os.pidfd_open(one.worker.pid)
        await gone(worker)
        os.close(worker)

        for descriptor in one.descendants:
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
