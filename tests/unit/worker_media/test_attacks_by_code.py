"""Hostile code inside a decoder: what it tries, what refuses it, and what each layer of the sandbox stops."""

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from callsheet.errors import BadInputError, CallsheetError, TransientError
from callsheet.worker.sandbox import landlock, processes, rights, seccomp
from callsheet.worker.sandbox.processes import ChildPool
from callsheet.worker.sandbox.rights import CLEAN_ENVIRONMENT, Layer, SandboxLimits
from callsheet.worker.sandbox.work import Work
from tests.support import hostile
from tests.support.folders import open_folder
from tests.support.hostile import WORKED, Targets
from tests.support.processes import children_of_this_process, ended, until
from tests.support.sites import environment_with

REPOSITORY = Path(__file__).parents[3]
GUIDE = REPOSITORY / "docs/guides/sandbox.md"
ATTACK = Work("tests.support.hostile:attack", Targets, dict[str, str])
DESCEND = Work("tests.support.hostile:descend", Targets, str)
LIMITS = SandboxLimits(address_space_mib=1024, cpu_s=1)
as_in_the_guide = pytest.mark.skipif(
    os.geteuid() != 0 or landlock.abi() < 6 or not seccomp.available(),
    reason="the guide's table was measured as root, with Landlock 6 and seccomp",
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can reach, as pytest's own are not."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def targets(place: Path) -> Iterator[Targets]:
    """What hostile code aims at: files, sockets, a setuid program, and this process for a worker."""
    secret, private, setuid = place / "secret", place / "private", place / "id"
    for file in (secret, private):
        file.write_text("secret")
    private.chmod(0o600)
    shutil.copy("/usr/bin/id", setuid)
    setuid.chmod(0o4755)
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    here = socket.socket(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as tcp, here, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        here.bind(str(place / "socket"))
        here.listen()
        (place / "socket").chmod(0o777)
        yield Targets(
            secret=str(secret),
            private=str(private),
            folder=str(place / "open"),
            tcp_port=tcp.getsockname()[1],
            udp_port=udp.getsockname()[1],
            local_socket=str(place / "socket"),
            setuid=str(setuid),
            victim=os.getpid(),
        )


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ChildPool]:
    """A pool as a worker has it that somebody's package was installed for."""
    python = environment_with(tmp_path / "venv", REPOSITORY)
    monkeypatch.setattr(sys, "executable", str(python))
    functions = (ATTACK.function, DESCEND.function)
    async with ChildPool(size=1, limits=LIMITS, functions=functions) as one:
        yield one


async def test_decode_child_refuses_every_attack(pool: ChildPool, targets: Targets, tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+b") as file:
        answer = await pool.run(ATTACK, targets, descriptors=[file.fileno()], deadline_s=60)

    assert set(answer.value) == set(hostile.ATTACKS)
    assert [what for what, how in answer.value.items() if how == WORKED.decode()] == []
    assert list(pool.strength) == rights.strength()


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("compute", BadInputError, "more than 1 s of CPU time"),
        ("swell", BadInputError, "more memory than a child may use"),
        ("crash", BadInputError, "brought the decoder down .SIGSEGV"),
        ("hang", TransientError, "longer than 4 s"),
        ("babble", BadInputError, "answer nonsense"),
        ("fork", processes.ChildFaultError, "PermissionError|BlockingIOError"),
    ],
)
async def test_process_that_runs_wild_ends_with_words_and_another_takes_its_place(
    pool: ChildPool, targets: Targets, what: str, kind: type[CallsheetError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await pool.run(DESCEND, replace(targets, secret=what), deadline_s=4 if what == "hang" else 60)

    with pytest.raises(BadInputError, match="brought the decoder down"):
        await pool.run(DESCEND, replace(targets, secret="crash"), deadline_s=60)


async def test_nothing_is_left_of_a_decoder_that_ran_wild(pool: ChildPool, targets: Targets) -> None:
    with pytest.raises(BadInputError):
        await pool.run(DESCEND, replace(targets, secret="swell"), deadline_s=60)
    seen = children_of_this_process()
    await pool.__aexit__(None, None, None)

    assert seen
    await until(lambda: all(ended(pid) for pid in seen))


@as_in_the_guide
async def test_each_layer_alone_stops_what_the_guide_says(targets: Targets) -> None:
    aims = {key: value for key, value in asdict(targets).items() if key != "victim"}
    measuring = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(REPOSITORY / "tests/support/hostile.py"), json.dumps(aims),
        stdout=asyncio.subprocess.PIPE, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
    said, _ = await measuring.communicate()
    worked = json.loads(said)

    assert set(worked["none"]) == set(hostile.ATTACKS)
    assert (worked["all"], worked["encoder"]) == ([], [])
    alone = {what: [layer for layer in Layer if what not in worked[layer]] for what in hostile.ATTACKS}
    without = {layer: worked[f"all but {layer}"] for layer in (Layer.RLIMITS, Layer.LANDLOCK, Layer.SECCOMP)}
    assert alone == _table_of_the_guide()
    assert without == {layer: [one for one, stops in alone.items() if stops == [layer]] for layer in without}
    assert worked[f"all but {Layer.USER}"] == []


def _table_of_the_guide() -> dict[str, list[Layer]]:
    """Return, by attack, the layers that the guide's table marks."""
    lines = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    marks = {row[0]: row[1:] for row in rows if row[0] in hostile.ATTACKS}
    return {
        what: [layer for layer, mark in zip(Layer, row, strict=True) if mark == "stops"]
        for what, row in marks.items()
    }
