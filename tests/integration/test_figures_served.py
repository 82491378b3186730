"""Every series that an alert or a dashboard names is there when the whole runs, with the labels it uses."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cards import VARIABLE, Driver, card, compiled
from tests.support.command_up import RunningUp, running_up
from tests.support.folders import open_folder
from tests.support.immich_process import start
from tests.support.immich_server import standing_in
from tests.support.media import quadrants
from tests.support.patience import PATIENCE_S
from tests.support.watching import alerts, named, panels

PORT = re.compile(r'"ops_port": (\d+)')
IMMICH_PORT = re.compile(r"probes and metrics on 127\.0\.0\.1:(\d+)")
SERVICES = ("scheduler", "cpu-worker", "gpu-worker", "gateway")

Series = dict[str, list[set[str]]]
"""The labels of each series, by its name."""


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "media").mkdir()
        quadrants(320, 240).save(folder / "media" / "house.png")
        yield folder


def ops_ports(up: RunningUp) -> list[int]:
    """Return where each service serves its metrics, as its log says."""
    ports: list[int] = []
    for name in SERVICES:
        found = PORT.findall((up.data / "logs" / f"{name}.log").read_text(encoding="utf-8"))
        assert found, f"{name} does not say its port: {up.logs()}"
        ports.append(int(found[-1]))
    return ports


async def scraped(ports: list[int]) -> Series:
    series: Series = {}
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
        for port in ports:
            answer = await http.get(f"http://127.0.0.1:{port}/metrics")
            for family in text_string_to_metric_families(answer.text):
                for sample in family.samples:
                    series.setdefault(sample.name, []).append(set(sample.labels))
    return series


async def fail_a_job(rest: httpx.AsyncClient) -> None:
    """Submit a job that cannot succeed, and wait for its end."""
    wanted = {"type": "thumbnail_generate", "params": {"videoId": "01890000-0000-7000-8000-000000000000"}}
    answer = await rest.post("/api/media/jobs", json=wanted)
    assert answer.status_code == 201, answer.text
    address = f"/api/media/jobs/{answer.json()['id']}"
    async with asyncio.timeout(PATIENCE_S):
        while (await rest.get(address)).json()["status"] != "failed":  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.1)


async def test_every_series_of_the_alerts_and_dashboards_exists_with_its_labels(place: Path) -> None:
    cards = Driver(place / "cards")
    cards.set(card())
    environment = {
        "LD_LIBRARY_PATH": str(compiled(place / "nvml").parent),
        VARIABLE: str(cards.path),
        "CALLSHEET_GPU_SEES_PIDS": "true",
    }
    async with (
        running_up(place / "data", "--media", str(place / "media"), environment=environment) as up,
        standing_in() as immich,
    ):
        controller = await start(place, immich.address, "run")
        try:
            assert controller.stderr is not None
            while not (found := IMMICH_PORT.search((await controller.stderr.readline()).decode())):
                pass
            address = await up.ready()
            headers = {"Authorization": f"Bearer {up.token()}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE_S) as rest:
                await fail_a_job(rest)
            series = await scraped([*ops_ports(up), int(found[1])])
        finally:
            controller.terminate()
            await controller.communicate()

    expressions = [*alerts().values(), *(expression for _, expression, _ in panels())]
    lacking = [
        (name, labels - {"job", "instance"}, expression)
        for expression in expressions
        for name, labels in named(expression).items()
        if not any(labels - {"job", "instance"} <= had for had in series.get(name, ()))
    ]
    assert not lacking, json.dumps(sorted(series))
