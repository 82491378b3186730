"""Brings about the cause of every alert on a running Callsheet, and sees Prometheus fire it and end it.

``python -m tests.deploy.alerts_trial``, as ``make test/alerts`` calls it. It needs Debian's ``prometheus``
and takes about ten minutes.

The rules are those of ``deploy/observability/rules.yml`` with every time 60 times shorter, so that a minute
of the rules is a second here: for how long something has to hold, over which range, and what is long. One
factor for all leaves the times in proportion. Scrapes come each second in place of each 15 s, so that the
shortest range still has five. Nothing else of a rule changes. The queries of panels are asked as they stand.
"""

import asyncio
import math
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final

from tests.deploy.alert_site import FILM, Site, running_site
from tests.support.cards import ATLAS, card
from tests.support.folders import open_folder
from tests.support.patience import PATIENCE_S
from tests.support.prometheus import FACTOR, Prometheus, prometheus_program, running_prometheus, version_of
from tests.support.watching import alerts, panels

NO_ITEM: Final = "01890000-0000-7000-8000-000000000000"
WAITING: Final = ("MediaJobQueueBacklog", "MediaJobsStuckRunning", "MediaJobsWaitLong")
IDLE: Final = "sum(media_jobs_pending) + sum(media_jobs_running) == 0"
LONG_WAIT_S: Final = 4 * 3600 / FACTOR
STOPPED_S, GOING_S = 0.8, 0.2
"""For how long a database that is slow stands still, and goes on, in turn."""


class Trial:
    """What was done, and what came of it."""

    def __init__(self, site: Site, prometheus: Prometheus) -> None:
        self.site = site
        self.prometheus = prometheus
        self.seen: set[str] = set()
        """The alerts that fired when they ought to."""
        self.faults: list[str] = []
        self._did = ""
        self._at = 0.0
        self._began = 0

    def did(self, what: str) -> None:
        """Count from now; *what* is done."""
        self._did, self._at, self._began = what, _now(), len(self.prometheus.began)

    async def fire(self, *names: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until these alerts fire."""
        await asyncio.gather(*(self._fire(name, patience_s) for name in names))
        beside = set(self.prometheus.began[self._began :]) - set(names)
        if beside:
            say(f"    beside it fired {', '.join(sorted(beside))}")

    async def _fire(self, name: str, patience_s: float) -> None:
        if await self.prometheus.until_alerts(lambda: self._fires(name), patience_s):
            say(f"{name:26} fired after {_now() - self._at:5.1f} s: {self._did}")
            self.seen.add(name)
        else:
            self.fault(f"{name} did not fire in {patience_s:.0f} s: {self._did}")

    async def end(self, *names: str) -> None:
        """Wait until these alerts neither fire nor are about to."""
        await asyncio.gather(*(self._end(name) for name in names))

    async def _end(self, name: str) -> None:
        if await self.prometheus.until_alerts(lambda: not self._raised(name), PATIENCE_S):
            say(f"{name:26} ended after {_now() - self._at:5.1f} s: {self._did}")
        else:
            self.fault(f"{name} did not end in {PATIENCE_S:.0f} s: {self._did}")

    async def quiet(self) -> None:
        """Wait until no alert fires or is about to."""
        prometheus = self.prometheus
        if await prometheus.until_alerts(lambda: not (prometheus.firing or prometheus.pending), PATIENCE_S):
            say(f"no alert: {self._did}")
        else:
            self.fault(f"{self._did}: {prometheus.firing} {prometheus.pending}")

    def fault(self, what: str) -> None:
        """Note what is not as it ought to be."""
        self.faults.append(what)
        say(f"FAULT: {what}")

    def _fires(self, name: str) -> bool:
        return any(one["alertname"] == name for one in self.prometheus.firing)

    def _raised(self, name: str) -> bool:
        return any(one["alertname"] == name for one in (*self.prometheus.firing, *self.prometheus.pending))


# ---- what is done ----


async def rest(trial: Trial) -> None:
    """See everybody scraped, and no alert while nothing is wrong."""
    trial.prometheus.point(trial.site.ports())
    trial.did("everything runs, and the library is scanned")
    await trial.site.completed(await trial.site.submit("scan", root="films"))
    await trial.prometheus.until('count(up{job=~"callsheet-.*"} == 1) == 5')
    await trial.prometheus.until(IDLE)
    await trial.quiet()


async def jobs_that_fail(trial: Trial) -> None:
    trial.did("12 pictures are asked for of an item that is not there")
    for _ in range(12):
        await trial.site.submit("thumbnail_generate", videoId=NO_ITEM)
    await trial.fire("MediaJobsFailing")
    trial.did("no more jobs fail")
    await trial.end("MediaJobsFailing")


@asynccontextmanager
async def jobs_that_wait(trial: Trial) -> AsyncGenerator[None]:
    """Have jobs wait for their turn all the time; at the end pause them, then let them run."""
    trial.did("60 scans are submitted, and the limit of their category is 0")
    await trial.site.command("queues", "limit", "cpu", "--host", "0")
    for _ in range(60):
        await trial.site.submit("scan", root="library")
    since = _now()
    await trial.fire("MediaJobQueueBacklog", "MediaJobsStuckRunning")
    yield
    trial.did(f"the first of them has waited for {_now() - since:.0f} s")
    await trial.fire("MediaJobsWaitLong", patience_s=LONG_WAIT_S + PATIENCE_S)
    trial.did("they wait as before, and everything is paused")
    await trial.site.command("queues", "pause", "all")
    await trial.end(*WAITING)
    trial.did("they may run, and have run")
    await trial.site.command("queues", "limit", "cpu", "--host", "5")
    await trial.site.command("queues", "resume", "all")
    await trial.prometheus.until(IDLE)
    await trial.quiet()


async def jobs_too_large(trial: Trial) -> None:
    await trial.site.command("types", "set", "reencode_streaming", "--vram", "20000")
    trial.did("a job is submitted that needs 20000 MB, and the card has 16384")
    job = await trial.site.submit("reencode_streaming", root="films", inputPath=FILM)
    await trial.fire("MediaJobsNeverFit")
    trial.did("it is cancelled")
    await trial.site.cancel(job)
    await trial.end("MediaJobsNeverFit")
    await trial.site.command("types", "set", "reencode_streaming", "--vram", "declared")


async def jobs_for_nobody(trial: Trial) -> None:
    trial.did("a scan is submitted of a root that no worker reaches")
    job = await trial.site.submit("scan", root="archive")
    await trial.fire("MediaJobsWithoutWorker")
    trial.did("it is cancelled")
    await trial.site.cancel(job)
    await trial.end("MediaJobsWithoutWorker")


async def card_in_use(trial: Trial) -> None:
    """Encode a film; its process takes more than it was given, then the card is gone."""
    driver = trial.site.driver

    async def hold(mib: int) -> None:
        while True:
            held = (f"process {ATLAS} {pid} {mib}" for pid in trial.site.encoders())
            driver.set(card(used_mib=400 + mib), *held)
            await asyncio.sleep(0.1)

    trial.did("an encoder holds 9000 MiB of the card and is charged with 4000")
    job = await trial.site.submit("reencode_streaming", root="films", inputPath=FILM)
    async with meanwhile(hold(9000)):
        await trial.fire("CallsheetLedgerDrift")
        await ask_panels(trial)
    trial.did("it holds 3000")
    async with meanwhile(hold(3000)):
        await trial.end("CallsheetLedgerDrift")
    trial.did("the driver knows no card any more")
    driver.drop("device", "process")
    await trial.fire("CallsheetGpuUnusable")
    trial.did("the card is back")
    driver.set(card())
    await trial.end("CallsheetGpuUnusable")
    await trial.site.cancel(job)


async def ask_panels(trial: Trial) -> None:
    """See that every query of the dashboard has a figure."""
    for title, expression, legend in panels():
        values = [value for value in await trial.prometheus.query(expression) if math.isfinite(value)]
        if values:
            say(f"panel {title}, {legend}: {', '.join(f'{value:.4g}' for value in values)}")
        else:
            trial.fault(f"the panel {title} ({legend}) shows nothing: {expression}")


async def immich_away(trial: Trial) -> None:
    trial.did("the Immich server ends")
    await trial.site.end_immich()
    await trial.fire("CallsheetImmichUnreachable")
    trial.did("it runs again")
    await trial.site.start_immich()
    await trial.end("CallsheetImmichUnreachable")


async def process_killed(trial: Trial) -> None:
    trial.did("the Immich controller is killed")
    await trial.site.kill_controller()
    await trial.fire("CallsheetProcessDown")
    trial.did("it runs again")
    await trial.site.start_controller()
    await trial.end("CallsheetProcessDown")


async def database_slow(trial: Trial) -> None:
    async def beat() -> None:
        while True:
            with trial.site.database_stopped():
                await asyncio.sleep(STOPPED_S)
            await asyncio.sleep(GOING_S)

    async def load() -> None:
        while True:
            await trial.site.submit("scan", root="library")

    trial.did(f"the database stands still for {STOPPED_S} s of each second while jobs come")
    async with meanwhile(beat(), load()):
        await trial.fire("CallsheetDatabaseSlow")
    trial.did("it goes on")
    await trial.end("CallsheetDatabaseSlow")


async def workers_drained(trial: Trial) -> None:
    workers = await trial.site.workers()
    trial.did("all workers are drained")
    for worker in workers:
        await trial.site.command("fleet", "drain", worker)
    await trial.fire("CallsheetNoWorker")
    trial.did("they take jobs again")
    for worker in workers:
        await trial.site.command("fleet", "resume", worker)
    await trial.end("CallsheetNoWorker")


async def database_stopped(trial: Trial) -> None:
    with trial.site.database_stopped():
        trial.did("the database stands still")
        await trial.fire("CallsheetNoLeader", "CallsheetWorkerApart")
    trial.did("it goes on")
    await trial.end("CallsheetNoLeader", "CallsheetWorkerApart")


async def ledger_changed(trial: Trial) -> None:
    """Change a row of the ledger by hand and have a new leader read it, in the same process, then another."""
    sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    leaders: dict[str, Callable[[], Awaitable[None]]] = {
        "the leader lost its sessions": lambda: trial.site.sql(sessions),
        "the scheduler was killed": trial.site.kill_scheduler,
    }
    for how, change_leaders in leaders.items():
        await trial.site.sql("UPDATE device SET allocated_mib = allocated_mib + 512")
        trial.did(f"512 MiB were added to the account of the card by SQL, and {how}")
        await change_leaders()
        trial.prometheus.point(trial.site.ports())
        await trial.fire("CallsheetLedgerMended")
        trial.did("15 minutes have passed")
        await trial.end("CallsheetLedgerMended")


async def try_all(trial: Trial) -> None:
    """Try every alert and every panel."""
    await rest(trial)
    await jobs_that_fail(trial)
    async with jobs_that_wait(trial):
        for act in (
            jobs_too_large,
            jobs_for_nobody,
            card_in_use,
            immich_away,
            process_killed,
            database_slow,
        ):
            await act(trial)
    for act in (workers_drained, database_stopped, ledger_changed):
        await act(trial)
    trial.did("everything is as it was")
    await trial.quiet()
    for name in set(alerts()) - trial.seen:
        trial.fault(f"{name} was not seen to fire")


@asynccontextmanager
async def meanwhile(*doing: Coroutine[object, object, None]) -> AsyncGenerator[None]:
    """Do all of this for the time of the block; what fails fails at its end."""
    parts = [asyncio.create_task(one) for one in doing]
    try:
        yield
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        for part in parts:
            if not part.cancelled():
                part.result()


def say(what: str) -> None:
    """Tell what was seen."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def main(program: str) -> int:
    """Try everything and return the exit code."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: me.cancelling() or me.cancel())
    say(await version_of(program))
    with open_folder() as folder:
        async with (
            running_prometheus(folder / "prometheus", program) as prometheus,
            running_site(folder) as site,
        ):
            trial = Trial(site, prometheus)
            await try_all(trial)
    say(f"{len(trial.seen)} of {len(alerts())} alerts fired; {len(trial.faults)} faults")
    for fault in trial.faults:
        say(f"FAULT: {fault}")
    return 1 if trial.faults else 0


if __name__ == "__main__":
    found = prometheus_program()
    if found is None:
        sys.exit("NOT TRIED: no prometheus here: apt-get install prometheus")
    try:
        sys.exit(asyncio.run(main(found)))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
