"""What ``callsheet up`` does when processes die, it among them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_up import gone, running_up
from tests.support.folders import open_folder
from tests.support.media import quadrants


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "media").mkdir()
        quadrants().save(folder / "media" / "beach.jpg")
        yield folder


async def test_what_dies_starts_again_and_killed_it_leaves_nothing(place: Path) -> None:
    data, media = place / "data", place / "media"
    async with running_up(data, "--media", str(media)) as up:
        await up.line("1 new,")
        for name, part in (("scheduler", "callsheet_scheduler.main"), ("database", "bin/postgres")):
            os.kill(up.pid_of(part), signal.SIGKILL)
            await up.line(f"The {name} ended (SIGKILL) and starts again")
            await up.answers()
        scan = await up.command("scan", "--wait")
        assert "1 unchanged" in scan

        below = up.below()
        up.process.kill()
        await up.exit_code()
        await gone(below)

    async with running_up(data, "--media", str(media)) as again:
        await again.line("1 unchanged")
        assert await again.stop() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signal_before_it_is_ready_ends_everything(
    place: Path, number: signal.Signals, code: int
) -> None:
    async with running_up(place / "data", "--media", str(place / "media")) as up:
        await up.line("The admin token")
        below = up.below()

        assert await up.stop(number) == code
        await gone(below)


async def test_service_that_ends_before_all_is_ready_ends_the_start(place: Path) -> None:
    refused = {"CALLSHEET_LEASE_TTL_S": "soon"}
    async with running_up(place / "data", "--media", str(place / "media"), environment=refused) as up:
        assert await up.exit_code() == 1
        assert "The scheduler ended at its start (exit 2): CALLSHEET_LEASE_TTL_S is not right" in up.said[-1]
