"""A real Prometheus: it scrapes what it is pointed at, judges our rules in a shorter time, and answers."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
from callsheet_scheduler.local.data_folder import reserve_port
from callsheet_scheduler.local.spawn import Program, run_program, start_program
from pydantic import BaseModel

from tests.support.patience import PATIENCE_S
from tests.support.watching import FOLDER, RULES

CONFIGURATION: Final = FOLDER / "prometheus.yml"
FACTOR: Final = 60
"""How many times shorter each time of a rule is: a minute of the rules is a second of the trial."""
INTERVAL_S: Final = 1
"""Between two scrapes, and two looks at the rules."""
LOOK_S: Final = 0.2

Labels = Mapping[str, str]


class Alert(BaseModel):
    """One alert as Prometheus tells of it."""

    labels: dict[str, str]
    state: str


class _Alerts(BaseModel):
    alerts: list[Alert]


class _Sample(BaseModel):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(BaseModel):
    result: list[_Sample]


class _AlertsAnswer(BaseModel):
    data: _Alerts


class _QueryAnswer(BaseModel):
    data: _Vector


def shortened(rules: str) -> str:
    """Return *rules* with every time divided by ``FACTOR``: ``30m`` is ``30s``, ``4 * 3600`` ``4 * 60``."""
    minutes = re.sub(r"(?<=[ \[])(\d+)m\b", r"\1s", rules)
    return re.sub(r"(?<=\d \* )\d+\b", lambda seconds: str(int(seconds[0]) // FACTOR), minutes)


def pointed(configuration: str) -> str:
    """Return *configuration* with scrapes each ``INTERVAL_S``, of what a file for each of its jobs names."""
    often = re.sub(r"(?<=_interval: )\w+", f"{INTERVAL_S}s", configuration)
    return re.sub(r"(?<=job_name: )(\S+)\n.*", r"\1\n    file_sd_configs: [{files: [\1.json]}]", often)


class Prometheus:
    """One that runs, and what its alerts do."""

    def __init__(self, folder: Path, http: httpx.AsyncClient) -> None:
        self.firing: list[Labels] = []
        """The alerts that fired at the newest look."""
        self.pending: list[Labels] = []
        """Those whose condition held then, not yet for long enough."""
        self.began: list[str] = []
        """The names of alerts, each time they began to fire."""
        self._folder = folder
        self._http = http
        self._more = asyncio.Condition()

    def point(self, ports: Mapping[str, Sequence[int]]) -> None:
        """Have it scrape these ports of loopback, by the name of their job in prometheus.yml."""
        for job, all_ports in ports.items():
            part = self._folder / f"{job}.part"
            part.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in all_ports]}]))
            part.replace(part.with_suffix(".json"))

    async def query(self, expression: str) -> list[float]:
        """Return the values that *expression* has now."""
        answer = await self._http.get("/api/v1/query", params={"query": expression})
        assert answer.is_success, answer.text
        return [
            float(sample.value[1]) for sample in _QueryAnswer.model_validate_json(answer.content).data.result
        ]

    async def until(self, expression: str) -> None:
        """Wait until *expression* has a value."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.query(expression):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(LOOK_S)

    async def until_alerts(self, true: Callable[[], bool], patience_s: float) -> bool:
        """Wait until *true* of the alerts, which is asked after each look; return whether it came to be."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._more:
                await self._more.wait_for(true)
                return True
        return False

    async def watch(self) -> None:
        """Look at the alerts until cancelled."""
        while True:
            answer = await self._http.get("/api/v1/alerts")
            alerts = _AlertsAnswer.model_validate_json(answer.content).data.alerts
            firing: list[Labels] = [alert.labels for alert in alerts if alert.state == "firing"]
            async with self._more:
                self.began += [one["alertname"] for one in firing if one not in self.firing]
                self.firing = firing
                self.pending = [alert.labels for alert in alerts if alert.state == "pending"]
                self._more.notify_all()
            await asyncio.sleep(LOOK_S)

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(httpx.TransportError):
                    if (await self._http.get("/-/ready")).is_success:
                        return
                await asyncio.sleep(LOOK_S)


async def version_of(program: str) -> str:
    """Return what a Prometheus calls itself."""
    _, said = await run_program(
        Program(arguments=(program, "--version"), environment=os.environ), deadline_s=PATIENCE_S
    )
    return said.partition(" (")[0]


def prometheus_program() -> str | None:
    """Return where the program is, if it is here."""
    return shutil.which("prometheus")


def _configure(folder: Path) -> None:
    folder.mkdir()
    (folder / "rules.yml").write_text(shortened(RULES.read_text()))
    (folder / "prometheus.yml").write_text(pointed(CONFIGURATION.read_text()))


@asynccontextmanager
async def running_prometheus(folder: Path, program: str) -> AsyncGenerator[Prometheus]:
    """Run one on a free port with our configuration and rules, everything it writes in *folder*."""
    _configure(folder)
    with reserve_port(0) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        arguments = (
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'kept'}",
            f"--web.listen-address={address}",
        )
        started = Program(arguments=arguments, environment=os.environ, folder=str(folder))
        process = await start_program(started, log=folder / "log")
        try:
            async with httpx.AsyncClient(
                base_url=f"http://{address}", trust_env=False, timeout=PATIENCE_S
            ) as http:
                prometheus = Prometheus(folder, http)
                await prometheus.ready()
                watching = asyncio.create_task(prometheus.watch())
                try:
                    yield prometheus
                finally:
                    watching.cancel()
                    await asyncio.wait({watching})
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
