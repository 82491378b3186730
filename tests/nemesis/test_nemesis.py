"""Real processes are struck, and the history of what they did breaks no law."""

import asyncio
import json
from pathlib import Path

import pytest

from callsheet.verify.judge import as_text
from tests.nemesis.plan import plan
from tests.nemesis.rounds import open_play, open_theatre
from tests.support.command_line import CommandLine
from tests.support.folders import open_folder

#: Together these kill and stop workers, kill leader and database, lose answers, pull a cable, move a clock.
SEEDS = (322, 556, 1834)
LIMIT_S = 300


@pytest.mark.nemesis
@pytest.mark.timeout(LIMIT_S)
async def test_rounds_of_real_faults_break_no_law(tmp_path: Path) -> None:
    """Seeds as for ``make nemesis``; a round that breaks a law prints its verdict."""
    with open_folder() as folder:
        async with open_theatre(folder) as theatre, open_play(theatre, "play") as play:
            for seed in SEEDS:
                played = await play.round(plan(seed, without=tuple(theatre.without)))
                assert played.verdict.holds, "\n".join([f"SEED={seed}", *as_text(played.verdict)])
                assert not played.ended, f"SEED={seed}"
                assert played.verdict.calls["ok"] > 0
                assert played.struck
        history = folder / "play/history.jsonl"
        verified = await CommandLine(tmp_path).run("verify", str(history), "--json")
        lines = await asyncio.to_thread(history.read_text)

    assert (verified.code, verified.document()["holds"]) == (0, True)
    await the_checker_sees_what_is_missing(tmp_path, lines)


async def the_checker_sees_what_is_missing(folder: Path, lines: str) -> None:
    """Take away the row of the last completed job."""
    events = [json.loads(line) for line in lines.splitlines()]
    done = max(at for at, event in enumerate(events) if event["what"] == "done")
    job = events.pop(done)["id"]
    events[-1]["events"] -= 1
    spoiled = folder / "spoiled.jsonl"
    await asyncio.to_thread(spoiled.write_text, "\n".join(map(json.dumps, events)))

    verified = await CommandLine(folder).run("verify", str(spoiled))

    assert verified.code == 1
    assert f"{job} " in verified.out
