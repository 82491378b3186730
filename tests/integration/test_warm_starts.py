"""A program that a test starts by a fork finds what it would find if it were started alone."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.support.warm import REPOSITORY, start_warm

MIRROR = "tests.support.mirror"
PROGRAMS = {
    "callsheet.cli.app": ("jobs", "list", "--state", "no-such-state"),
    "callsheet_scheduler.main": (),
    "callsheet_gateway.main": (),
    "callsheet_cpu_worker.main": (),
    "callsheet_gpu_worker.main": (),
}


async def _warm(program: str, *words: str, folder: Path, **own: str) -> tuple[bytes, bytes, int]:
    process = await start_warm(
        program,
        *words,
        environment=os.environ | own,
        folder=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    return *await process.communicate(), await process.wait()


async def _alone(program: str, *words: str, folder: Path, **own: str) -> tuple[bytes, bytes, int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, *words),
        env=os.environ | own,
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    return *await process.communicate(), await process.wait()


def _found(ended: tuple[bytes, bytes, int]) -> dict[str, Any]:
    out, err, code = ended
    assert (err, code) == (b"", 0)
    found: dict[str, Any] = json.loads(out)
    return found


async def test_fork_finds_around_it_what_a_program_started_alone_finds(tmp_path: Path) -> None:
    own = {
        "OF_THIS_TEST": "1",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(tmp_path)]),
        "TZ": "Asia/Kathmandu",
    }

    warm = _found(await _warm(MIRROR, "look", "-x", folder=tmp_path, **own))
    alone = _found(await _alone(MIRROR, "look", "-x", folder=tmp_path, **own))

    assert warm["alike"] == alone["alike"]
    assert alone["alike"]["zone"][0] == "+0545"
    assert not set(warm["drawn"]) & set(alone["drawn"])


async def test_forks_share_nothing_that_is_drawn_and_nothing_that_one_was_given(tmp_path: Path) -> None:
    first = _found(await _warm(MIRROR, "look", folder=tmp_path, OF_THE_FIRST="1"))
    second = _found(await _warm(MIRROR, "look", folder=REPOSITORY))

    assert not set(first["drawn"]) & set(second["drawn"])
    assert "OF_THE_FIRST" in first["alike"]["environment"]
    assert "OF_THE_FIRST" not in second["alike"]["environment"]
    assert str(tmp_path) not in second["alike"]["path"]


async def test_variable_that_an_interpreter_reads_as_it_starts_has_its_effect(tmp_path: Path) -> None:
    own = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(REPOSITORY)}

    warm = _found(await _warm(MIRROR, "look", folder=tmp_path, **own))

    assert "hash_randomization=0" in warm["alike"]["flags"]
    assert warm["alike"] == _found(await _alone(MIRROR, "look", folder=tmp_path, **own))["alike"]


@pytest.mark.parametrize(("how", "code"), [("fail", 1), ("exit", 7), ("term", -15), ("interrupt", -2)])
async def test_fork_ends_as_a_program_started_alone(how: str, code: int) -> None:
    warm = await _warm(MIRROR, how, folder=REPOSITORY)
    alone = await _alone(MIRROR, how, folder=REPOSITORY)

    assert (warm[0], warm[2]) == (alone[0], alone[2]) == (b"", code)
    assert warm[1].splitlines()[-1:] == alone[1].splitlines()[-1:]


async def test_fork_is_stopped_and_killed_like_any_process() -> None:
    process = await start_warm(MIRROR, "wait", environment=os.environ)
    process.kill()

    assert await process.wait() == -9
    assert process.returncode == -9
    with pytest.raises(ProcessLookupError):
        process.terminate()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_program_answers_bad_settings_as_when_it_is_started_alone(program: str, tmp_path: Path) -> None:
    own = {"CALLSHEET_LOG_LEVEL": "no-such-level"}

    warm = await _warm(program, *PROGRAMS[program], folder=tmp_path, **own)
    alone = await _alone(program, *PROGRAMS[program], folder=tmp_path, **own)

    assert warm == alone
    assert warm[1]
    assert warm[2] > 0
