"""Somebody who keeps schedules, and the law that each of their ticks gives one job at most."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from callsheet_scheduler.domain.effects import NewRow
from callsheet_scheduler.domain.job import JobId
from callsheet_scheduler.domain.schedules import CatchUp, Schedule, Template
from callsheet_scheduler.use_cases.schedules import Schedules, Wanted

from tests.support.simulator.chance import Chance
from tests.support.simulator.tables import Database

#: Every how many seconds a schedule may tick; each of them divides a minute.
PERIODS_S: Final = (2, 5, 10, 30)

#: Virtual seconds until a schedule has caught up once nothing fails any more.
QUIET_S: Final = 5.0


class TickLawBrokenError(AssertionError):
    """A tick was fired twice, too early, or not at all."""


class Keeper(Protocol):
    """A scheduler, as somebody sees it who keeps schedules."""

    schedules: Schedules


Insist = Callable[[Callable[[Keeper], Awaitable[object]]], Awaitable[None]]
"""Makes a call until it is answered."""


@dataclass(slots=True)
class Timekeeper:
    """What the law remembers."""

    fired: dict[tuple[str, float], JobId] = field(default_factory=dict)
    """The job of each tick that ever had one."""
    periods_s: dict[str, set[int]] = field(default_factory=dict)
    """Every how many seconds each schedule ever was to tick."""
    asked: set[str] = field(default_factory=set)
    """Jobs that somebody asked a schedule for."""
    steady: set[str] = field(default_factory=set)
    """Schedules that catch up with everything and were never paused or changed."""

    def came(self, row: NewRow, now: float) -> None:
        """Judge a job that is durable."""
        name = json.loads(row.params).get("schedule")
        if name is None or row.job.id in self.asked:
            return
        tick = int(row.job.id[:8] + row.job.id[9:13], 16) / 1000
        known = self.fired.setdefault((name, tick), row.job.id)
        _demand(known == row.job.id, f"{name} fired {tick} as {known} and as {row.job.id}")
        _demand(tick <= now, f"{name} fired {tick} at {now}")
        periods_s = self.periods_s[name]
        _demand(any(tick % period_s == 0 for period_s in periods_s), f"{name} has no tick at {tick}")

    def rested(self, schedules: dict[str, Schedule]) -> None:
        """Judge schedules that have caught up."""
        for name in self.steady & schedules.keys():
            schedule = schedules[name]
            [period_s] = self.periods_s[name]
            first = int(schedule.created_at // period_s + 1) * period_s
            wanted = set(range(first, int(schedule.decided_at) + 1, period_s))
            missed = wanted - {int(tick) for one, tick in self.fired if one == name}
            _demand(not missed, f"{name} never fired {sorted(missed)}")


class Planner:
    """Adds schedules, and changes their mind about some."""

    def __init__(
        self, chance: Chance, insist: Insist, timekeeper: Timekeeper, new_id: Callable[[], str]
    ) -> None:
        self._chance = chance
        self._insist = insist
        self._timekeeper = timekeeper
        self._new_id = new_id

    async def person(self, name: str, types: list[str]) -> None:
        """Keep one schedule."""
        random, timekeeper = self._chance.random, self._timekeeper
        catch_up = random.choice(list(CatchUp))
        changes = random.random() < 0.5
        if catch_up is CatchUp.ALL and not changes:
            timekeeper.steady.add(name)
        wanted = Wanted(
            cron=self._cron(name),
            jitter_s=random.choice([0.0, 0.0, 1.5, 20.0]),
            catch_up=catch_up,
            catch_up_max=100,
            template=self._template(name, random.choice(types)),
        )
        await asyncio.sleep(self._chance.delay_s(2.0))
        await self._insist(lambda to: to.schedules.add(name, wanted))
        for _ in range(random.randint(1, 5) if changes else 0):
            await asyncio.sleep(self._chance.delay_s(6.0))
            await self._change(name, random.choice(types))
        if changes and random.random() < 0.3:
            await self._insist(lambda to: to.schedules.remove(name))
            await self._insist(lambda to: to.schedules.add(name, wanted))

    async def _change(self, name: str, job_type: str) -> None:
        random = self._chance.random
        what = random.choice(["pause", "cron", "job", "run"])
        if what == "pause":
            await self._insist(lambda to: to.schedules.pause(name))
            await asyncio.sleep(self._chance.delay_s(3.0))
            await self._insist(lambda to: to.schedules.resume(name))
        elif what == "cron":
            cron = self._cron(name)
            await self._insist(lambda to: to.schedules.change(name, Wanted(cron=cron)))
        elif what == "job":
            template = self._template(name, job_type)
            await self._insist(lambda to: to.schedules.change(name, Wanted(template=template)))
        else:
            job_id = self._new_id()
            self._timekeeper.asked.add(job_id)
            await self._insist(lambda to: to.schedules.run(name, job_id))

    def _cron(self, name: str) -> str:
        period_s = self._chance.random.choice(PERIODS_S)
        self._timekeeper.periods_s.setdefault(name, set()).add(period_s)
        return f"*/{period_s} * * * * *"

    def _template(self, name: str, job_type: str) -> Template:
        seconds = round(self._chance.random.random(), 3)
        return Template(
            type=job_type,
            params=json.dumps({"do": "work", "s": seconds, "parts": 1, "schedule": name}),
            priority=self._chance.random.randint(0, 10),
            interactive=False,
            vram_mib=None,
            max_retries=None,
        )


async def end_schedules(database: Database, insist: Insist, timekeeper: Timekeeper) -> None:
    """Let the schedules catch up, judge them, and remove them."""
    while True:
        await asyncio.sleep(QUIET_S)
        if all(schedule.firing_at is None for schedule in database.contents.schedules.values()):
            break
    timekeeper.rested(database.contents.schedules)
    for name in list(database.contents.schedules):
        await insist(_removal(name))


def _removal(name: str) -> Callable[[Keeper], Awaitable[object]]:
    return lambda to: to.schedules.remove(name)


def kept_schedule(values: tuple[object, ...]) -> Schedule:
    """Return the schedule that a statement keeps, of the values it is given."""
    (name, cron, zone, jitter_s, catch_up, most, job_type, params, priority, interactive, *rest) = values
    (
        vram_mib,
        max_retries,
        created_at,
        decided_at,
        firing_at,
        paused_at,
        last_tick,
        last_job_id,
        error,
        unique_key,
        collection,
    ) = rest
    return Schedule(
        name=str(name),
        cron=str(cron),
        time_zone=str(zone),
        jitter_s=cast("float", jitter_s),
        catch_up=CatchUp(cast("int", catch_up)),
        catch_up_max=cast("int", most),
        template=Template(
            type=str(job_type),
            params=str(params),
            priority=cast("int", priority),
            interactive=bool(interactive),
            vram_mib=cast("int | None", vram_mib),
            max_retries=cast("int | None", max_retries),
            unique_key=str(unique_key),
            collection=str(collection),
        ),
        created_at=cast("float", created_at),
        decided_at=cast("float", decided_at),
        firing_at=cast("float | None", firing_at),
        paused_at=cast("float | None", paused_at),
        last_tick=cast("float | None", last_tick),
        last_job_id=cast("JobId | None", last_job_id),
        error=cast("str | None", error),
    )


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise TickLawBrokenError(what)
