"""``callsheet top`` on a terminal, before a real scheduler with workers and cards."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from callsheet_scheduler.local.postgres import EmbeddedPostgres

from callsheet.client import Client
from callsheet.v1.job_pb2 import NewJob
from tests.support.cards import card
from tests.support.command_line import CommandLine
from tests.support.fresh_database import new_database
from tests.support.gpu_workers import GpuHost
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.terminals import terminal
from tests.support.workers import running_worker

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[1-7]|9[0-7])[0-9;]*m")


@pytest.fixture
async def scheduler(database_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    async with real_scheduler(await new_database(database_server), tmp_path) as scheduler:
        yield scheduler


@pytest.fixture
def callsheet(scheduler: RealScheduler, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, scheduler=scheduler.address)


async def come(client: Client) -> None:
    """Wait until the scheduler knows what the worker does."""
    async with asyncio.timeout(PATIENCE_S):
        while all(kind.name != "noop" for kind in await client.job_types()):  # noqa: ASYNC110 -- elsewhere
            await asyncio.sleep(0.05)


def shows_two_of_five(lines: list[str]) -> bool:
    """Whether two jobs run and three wait, everywhere in the picture: its parts are asked for one by one."""
    lanes = [line.split()[1:4] for line in lines if line.startswith("cpu ")]
    return (
        sum("  patient" in line for line in lines) == 2
        and lanes in ([["3", "0", "2"]], [["3", "2", "0"]], [["3", "1", "1"]])
        and any("2 of 2" in line for line in lines)
        and any("[" not in line and "................   0 %" in line for line in lines)
    )


async def test_picture_follows_jobs_workers_and_cards(
    callsheet: CommandLine, scheduler: RealScheduler, tmp_path: Path
) -> None:
    host = GpuHost(tmp_path)
    host.driver.set(card())
    async with (
        host.worker(scheduler.address),
        running_worker(scheduler.port, tmp_path, slots=2) as worker,
        Client(scheduler.address) as client,
        terminal(callsheet, "top") as screen,
    ):
        await screen.shows("cpu ")
        await screen.shows("atlas 0")
        await screen.shows("0 of 2")
        await client.submit_many([NewJob(type="patient") for _ in range(5)])
        await screen.until(shows_two_of_five)

        screen.press("p")
        await screen.shows("held")
        worker.patient.go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            while (await client.stats()).completed_last_hour < 5:  # noqa: ASYNC110 -- it happens elsewhere
                await asyncio.sleep(0.05)
        assert any("2 of 2" in line for line in screen.picture)
        screen.press("p")
        await screen.until(lambda lines: any("5 completed in the last hour" in line for line in lines))
        await screen.until(
            lambda lines: sum("completed " in line and "patient" in line for line in lines) == 5
        )

        screen.press("s")
        await screen.shows("busiest first")
        screen.press("q")
        assert await screen.ended() == 0
        assert screen.raw.rstrip().endswith("\x1b[?25h") or "\x1b[?1049l" in screen.raw


@pytest.mark.parametrize(("lines", "columns"), [(9, 120), (24, 40), (60, 200)])
async def test_picture_keeps_to_its_terminal_and_follows_it(
    callsheet: CommandLine, scheduler: RealScheduler, tmp_path: Path, lines: int, columns: int
) -> None:
    async with (
        running_worker(scheduler.port, tmp_path),
        Client(scheduler.address) as client,
        terminal(callsheet, "top") as screen,
    ):
        await come(client)
        await client.submit_many([NewJob(type="noop") for _ in range(80)])
        await screen.until(lambda shown: any("completed" in line and "noop" in line for line in shown))
        screen.resize(lines, columns)
        shown = await screen.until(
            lambda shown: len(shown) <= lines and all(len(line) <= columns for line in shown)
        )
        assert shown[0].startswith("callsheet top")
        assert any(line.startswith("cpu") for line in shown)
        assert any("q quit" in line for line in shown)


async def test_picture_says_that_the_scheduler_is_away_and_goes_on_when_it_is_back(
    callsheet: CommandLine, scheduler: RealScheduler
) -> None:
    async with terminal(callsheet, "top", NO_COLOR="1") as screen:
        await screen.shows("cpu ")
        await scheduler.kill()
        lines = await screen.shows("no answer since")
        assert any(line.startswith("cpu ") for line in lines)
        await scheduler.start()
        await screen.shows("completed in the last hour")
        assert COLOUR.search(screen.raw) is None
        screen.process.send_signal(signal.SIGINT)
        assert await screen.ended() == 130


async def test_one_look_is_plain_text_or_a_document(
    callsheet: CommandLine, scheduler: RealScheduler, tmp_path: Path
) -> None:
    async with (
        running_worker(scheduler.port, tmp_path, slots=2),
        Client(scheduler.address) as client,
    ):
        await come(client)
        ids = [one.id for one in await client.submit_many([NewJob(type="noop") for _ in range(3)])]
        for job_id in ids:
            await client.final(job_id)
        refused = await callsheet.run("top")
        assert (refused.code, refused.out) == (2, "")
        assert "for one look use --once" in refused.err
        look = await callsheet.run("top", "--once")
        assert look.code == 0, look.err
        assert "\x1b" not in look.out
        assert all(job_id in look.out for job_id in ids)
        document = (await callsheet.run("top", "--json")).document()
        assert document["completed_last_hour"] == 3
        assert all(job_id in str(document["newest"]) for job_id in ids)
    await scheduler.kill()
    away = await callsheet.run("top", "--once")
    assert away.code == 3
