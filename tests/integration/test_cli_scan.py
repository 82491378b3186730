"""``callsheet scan`` and ``callsheet library`` on real media, with a real scheduler and CPU worker."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.media import quadrants
from tests.support.real_scheduler import RealScheduler, real_scheduler

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "holidays").mkdir(parents=True)
    (folder / "broken").mkdir()
    quadrants(640, 480).save(folder / "holidays" / "a.jpg")
    quadrants(480, 640).save(folder / "holidays" / "b.png")
    whole = (folder / "holidays" / "a.jpg").read_bytes()
    (folder / "broken" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture
async def scheduler(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[RealScheduler]:
    (tmp_path / "join-token").write_text(f"{TOKEN}\n")
    token_file = str(tmp_path / "join-token")
    async with real_scheduler(fresh_dsn, tmp_path, join_token_file=token_file) as scheduler:
        yield scheduler


@pytest.fixture
async def callsheet(scheduler: RealScheduler, media: Path, tmp_path: Path) -> AsyncIterator[CommandLine]:
    """The command line with the file that ``callsheet up`` leaves, and a CPU worker at work."""
    (tmp_path / "derivatives").mkdir()
    roots = {
        "library": {"path": str(media)},
        "derivatives": {"path": str(tmp_path / "derivatives"), "writable": True},
    }
    (tmp_path / "var").mkdir()
    content = {
        "scheduler": scheduler.address,
        "join_token_file": str(tmp_path / "join-token"),
        "roots": {"library": str(media)},
    }
    (tmp_path / "var" / "connection.json").write_text(json.dumps(content))
    callsheet = CommandLine(tmp_path)
    worker = await _worker(
        CALLSHEET_SCHEDULER=scheduler.address,
        CALLSHEET_ROOTS=json.dumps(roots),
        CALLSHEET_SPOOL=str(tmp_path / "spool"),
        CALLSHEET_JOIN_TOKEN_FILE=str(tmp_path / "join-token"),
        CALLSHEET_LOG_LEVEL="warning",
    )
    yield callsheet
    worker.terminate()
    assert await worker.wait() == 0


async def _worker(**environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callsheet_cpu_worker.main", env=os.environ | environment
    )


async def test_a_folder_becomes_a_library(callsheet: CommandLine, media: Path) -> None:
    ended = await callsheet.run("scan", str(media), "--wait")

    assert ended.code == 0
    said = ended.out.splitlines()
    assert said[0].startswith("Scanned library in ")
    assert said[0].endswith(": 3 files; 3 new, 0 changed, 0 unchanged, 0 missing.")
    assert said[1:4] == [
        "The library has 2 images there.",
        "Pictures were made of 2 items.",
        "1 file cannot be used:",
    ]
    assert said[4].startswith("  broken/half.jpg: truncated")
    assert "Pictures: 100 %, 2 of 2 items" in ended.err

    again = (await callsheet.run("scan", ".", "--wait", "--json")).document()
    assert again["found"] == {"found": 3, "new": 0, "changed": 0, "unchanged": 3, "broken": 1, "missing": 0}
    assert again["pictures"] == {}

    good = (await callsheet.run("library", "list", str(media / "holidays"), "--json")).documents()
    assert [facts["path"] for item in good if isinstance(facts := item["facts"], dict)] == [
        "holidays/a.jpg",
        "holidays/b.png",
    ]
    shown = await callsheet.run("library", "show", str(media / "holidays" / "b.png"))
    assert "480 x 640" in shown.out
    assert "thumbnail" in shown.out
    alone = await callsheet.run("scan", "holidays/b.png", "--wait")
    assert alone.out.splitlines()[1] == "The library has 1 image there."
    broken = await callsheet.run("library", "list", "--state", "broken", "--json")
    assert len(broken.documents()) == 1


async def test_a_folder_outside_every_root_is_refused(callsheet: CommandLine, tmp_path: Path) -> None:
    ended = await callsheet.run("scan", str(tmp_path), "--wait")

    assert ended.code == 2
    assert ended.err.startswith(f"Error: DIR: {tmp_path} lies in none of the roots ")


async def test_a_scan_of_a_root_that_no_worker_reaches_fails_with_the_reason(callsheet: CommandLine) -> None:
    ended = await callsheet.run("scan", "attic:", "--wait")

    assert ended.code == 1
    assert "attic" in ended.out


async def test_without_the_token_nothing_is_told(callsheet: CommandLine, scheduler: RealScheduler) -> None:
    ended = await callsheet.run("library", "list", "--scheduler", scheduler.address)

    assert (ended.code, ended.out) == (5, "")
    assert "CALLSHEET_JOIN_TOKEN_FILE" in ended.err
