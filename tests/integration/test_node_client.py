"""The example in another language: it submits, follows, and says what went wrong."""

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest

from callsheet.channel import open_channel
from callsheet.identities import Role
from tests.support.certificates import Certificates
from tests.support.node import Node, node
from tests.support.patience import PATIENCE_S
from tests.support.queue import Jobs
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.workers import running_worker

__all__ = ["node"]

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How it ended."""

    code: int | None
    out: str
    err: str


class Example:
    """The client, installed by its lock, with the protos where it looks for them."""

    def __init__(self, node: Node, folder: Path, scheduler: RealScheduler, tls_dir: Path) -> None:
        self._node = node
        self._folder = folder / "examples/node_client"
        self._environment = {"CALLSHEET_SCHEDULER": scheduler.address, "CALLSHEET_TLS_DIR": str(tls_dir)}
        shutil.copytree(ROOT / "protos", folder / "protos")
        shutil.copytree(
            ROOT / "examples/node_client", self._folder, ignore=shutil.ignore_patterns("node_modules")
        )
        node.install(self._folder)

    async def run(self, *arguments: str) -> Ended:
        """Run it to its end."""
        process = await asyncio.create_subprocess_exec(
            *(self._node.program, "follow.js", *arguments),
            cwd=self._folder,
            env=self._node.environment(**self._environment),
            stdout=PIPE,
            stderr=PIPE,
        )
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def example(node: Node, fresh_dsn: str, tmp_path: Path) -> AsyncGenerator[Example]:
    """A scheduler that speaks TLS, a worker, and the client with a certificate of an application."""
    certificates = Certificates(tmp_path / "certificates")
    async with (
        real_scheduler(fresh_dsn, tmp_path, tls_dir=str(certificates.issue(Role.SCHEDULER))) as scheduler,
        running_worker(scheduler.port, tmp_path, tls_dir=certificates.issue(Role.WORKER)),
        open_channel(scheduler.address, tls=certificates.tls(Role.CLIENT)) as channel,
    ):
        await Jobs(channel).known("noop")
        folder, own = tmp_path / "checkout", certificates.issue(Role.CLIENT)
        yield await asyncio.to_thread(Example, node, folder, scheduler, own)


async def test_application_in_node_follows_a_job_and_hears_why_another_is_refused(example: Example) -> None:
    done = await example.run("noop")
    refused = await example.run("nope")

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "completed 100 %"
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("Error: ")
    assert "unknown job type 'nope'" in refused.err
