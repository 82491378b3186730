"""``callsheet immich run`` as a process: it gets ready, holds queues back, and opens them at the end."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from pathlib import Path

import httpx
import pytest

from tests.support.immich_process import start
from tests.support.immich_queues import NAMES
from tests.support.immich_server import KEY, StandIn, standing_in
from tests.support.processes import until


async def ops_port(process: Process) -> tuple[int, list[str]]:
    """Return where the probes are, and what was logged before."""
    assert process.stderr is not None
    lines: list[str] = []
    while "probes and metrics on" not in (lines or [""])[-1]:
        line = await process.stderr.readline()
        assert line, lines
        lines.append(line.decode())
    return int(lines[-1].partition("127.0.0.1:")[2].partition('"')[0]), lines


async def status(port: int, path: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return (await http.get(f"http://127.0.0.1:{port}{path}")).status_code


def held_back(immich: StandIn) -> bool:
    return len(immich.immich.open()) < len(NAMES) / 2


async def test_it_holds_queues_back_is_ready_and_opens_them_at_the_end(tmp_path: Path) -> None:
    async with standing_in() as immich:
        immich.immich.queues["ocr"].waiting = 3
        process = await start(tmp_path, immich.address, "run")
        port, _ = await ops_port(process)
        await until(lambda: held_back(immich))
        shown = await start(tmp_path, immich.address, "look", "--json")
        told, _ = await shown.communicate()
        while await status(port, "/readyz") != 200:  # noqa: ASYNC110 -- another process sets no event of ours
            await asyncio.sleep(0.05)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            figures = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        process.send_signal(signal.SIGTERM)
        _, logged = await process.communicate()

        queues = {one["queue"]: one for one in map(json.loads, told.splitlines())}
        assert list(queues)[:2] == ["sidecar", "metadataExtraction"]
        assert set(queues) == set(NAMES)
        assert (queues["sidecar"]["state"], queues["sidecar"]["note"]) == ("paused", "by the controller")
        assert queues["backupDatabase"]["note"] == "never touched"
        assert process.returncode == 0
        assert immich.immich.open() == set(NAMES)
        assert 'callsheet_immich_queue_backlog{queue="ocr",server="immich"} ' in figures
        assert KEY not in logged.decode() + figures


async def test_what_a_killed_run_left_paused_is_opened_by_a_command(tmp_path: Path) -> None:
    async with standing_in() as immich:
        immich.immich.queues["ocr"].waiting = 3
        process = await start(tmp_path, immich.address, "run")
        await until(lambda: held_back(immich))
        process.kill()
        await process.communicate()
        assert held_back(immich)
        restoring = await start(tmp_path, immich.address, "restore")
        await restoring.communicate()

        assert restoring.returncode == 0
        assert immich.immich.open() == set(NAMES)


async def test_it_is_alive_and_not_ready_without_a_permission_that_its_log_names(tmp_path: Path) -> None:
    async with standing_in() as immich:
        immich.permissions = frozenset({"job.read"})
        process = await start(tmp_path, immich.address, "run")
        port, _ = await ops_port(process)
        await until(lambda: "PUT /api/jobs/" in " ".join(immich.asked))
        alive, ready = await status(port, "/livez"), await status(port, "/readyz")
        process.send_signal(signal.SIGTERM)
        _, logged = await process.communicate()

        assert (alive, ready) == (200, 503)
        assert "needs the permission job.create" in logged.decode()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"API_KEY": ""}, "give API_KEY or CALLSHEET_IMMICH_API_KEY_FILE"),
        ({"MAX_CONCURRENT_JOBS": "none"}, "CALLSHEET_IMMICH_MAX_CONCURRENT_JOBS is not right"),
    ],
)
async def test_settings_that_cannot_work_end_it_with_a_sentence(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    process = await start(tmp_path, "http://127.0.0.1:9", "run", **variables)
    _, logged = await process.communicate()

    assert process.returncode == 2
    assert says in logged.decode()
