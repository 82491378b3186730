"""``callsheet scan`` and ``callsheet library`` on real media, with a real scheduler and CPU worker."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import CommandLine
from tests.support.media import quadrants
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler
from tests.support.warm import WarmProcess, start_warm

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
    assert await worker.wait() in {0, -signal.SIGTERM}  # one that does not listen yet just ends


async def _worker(**environment: str) -> WarmProcess:
    return await start_warm("callsheet_cpu_worker.main", environment=os.environ | environment)


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
    assert again["found"] == {
        "found": 3,
        "new": 0,
        "changed": 0,
        "unchanged": 3,
        "broken": 1,
        "missing": 0,
        "passedOver": 0,
    }
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


async def test_a_scan_of_what_is_not_there_fails_with_one_sentence(
    callsheet: CommandLine, media: Path
) -> None:
    for place in (str(media / "nowhere"), "nowhere", "library:nowhere"):
        ended = await callsheet.run("scan", place, "--wait")

        assert ended.code == 1
        (sentence,) = ended.out.splitlines()
        assert sentence.startswith(
            "scan failed: library/nowhere: there is no such folder or file; is the path right? (callsheet "
        )


async def test_jobs_that_make_pictures_are_children_of_the_scan(callsheet: CommandLine, media: Path) -> None:
    content = (media / "holidays" / "b.png").read_bytes()
    for number in range(60):
        (media / f"{number}.png").write_bytes(content)

    assert (await callsheet.run("scan", ".", "--wait")).code == 0
    (scan,) = (await callsheet.run("jobs", "list", "--type", "scan", "--json")).documents()
    listed = await callsheet.run("jobs", "list", "--type", "derivatives_generate", "--limit", "0", "--json")

    jobs = listed.documents()
    assert {job["parent_id"] for job in jobs} == {scan["id"]}
    named = [line.partition('"itemIds": [')[2].partition("]")[0] for line in listed.out.splitlines()]
    assert sum(ids.count(",") + 1 for ids in named) == 62
    assert len(jobs) == 3


async def test_names_made_to_deceive_are_told_without_their_tricks(
    callsheet: CommandLine, media: Path
) -> None:
    content = (media / "holidays" / "b.png").read_bytes()
    (media / "x\n[2026-01-01 00:00:00] forged\x1b[2J.png").write_bytes(content[:80])
    (media / "y\\..\\z.png").write_bytes(content)
    (media / os.fsdecode(b"caf\xe9.png")).write_bytes(content)

    ended = await callsheet.run("scan", ".", "--wait")

    assert ended.code == 0
    assert "Passed over 2 files; the log says why: callsheet jobs logs " in ended.out
    assert "  x\\n[2026-01-01 00:00:00] forged\\x1b[2J.png: truncated" in ended.out
    log = (
        await callsheet.run("jobs", "logs", ended.out.rpartition("callsheet jobs logs ")[2].split()[0])
    ).out
    assert "caf?.png: passed over, its name is not UTF-8; rename it" in log
    assert all(line.startswith("[20") and "\x1b" not in line for line in log.splitlines())


async def test_thumbnail_of_a_broken_file_lists_it_with_the_reason(
    callsheet: CommandLine, media: Path
) -> None:
    picture = media / "holidays" / "c.png"
    noise = np.random.default_rng(1).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)
    assert (await callsheet.run("scan", str(picture), "--wait")).code == 0
    listed = (await callsheet.run("library", "list", "--query", "c.png", "--json")).documents()
    (item_id,) = (item["id"] for item in listed)
    content = bytearray(picture.read_bytes())
    content[300_000:400_000] = bytes(100_000)
    picture.write_bytes(content)  # both its ends are as they were

    asked = await callsheet.run(
        "jobs",
        "submit",
        "thumbnail_generate",
        "--param",
        f"videoId={item_id}",
        "--param",
        "width=500",
        "--wait",
    )
    broken = (await callsheet.run("library", "list", "--state", "broken", "--json")).documents()

    assert asked.code == 1
    assert "holidays/c.png: " in asked.out
    (facts,) = (item["facts"] for item in broken)
    assert isinstance(facts, dict)
    assert facts["path"] == "holidays/c.png"
    assert facts["reason"] in asked.out


async def test_a_folder_outside_every_root_is_refused(callsheet: CommandLine, tmp_path: Path) -> None:
    ended = await callsheet.run("scan", str(tmp_path), "--wait")

    assert ended.code == 2
    assert ended.err.startswith(f"Error: DIR: {tmp_path} lies in none of the roots ")


async def test_a_scan_of_a_root_that_no_worker_reaches_waits_and_says_why(callsheet: CommandLine) -> None:
    waiting = await callsheet.start("scan", "attic:", "--wait")
    assert waiting.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while b"No connected worker reaches root attic" not in await waiting.stderr.readline():
            pass
    waiting.send_signal(signal.SIGINT)

    assert await waiting.wait() == 130


async def test_without_the_token_nothing_is_told(callsheet: CommandLine, scheduler: RealScheduler) -> None:
    ended = await callsheet.run("library", "list", "--scheduler", scheduler.address)

    assert (ended.code, ended.out) == (5, "")
    assert "CALLSHEET_JOIN_TOKEN_FILE" in ended.err
