"""Decides when schedules fire: which of their ticks, under which ids, and when next.

A *tick* is an instant that the cron expression names. It is *due* at the tick plus its jitter, which never
reaches the next tick, so ticks fall due in their order. Each tick is decided once: a job is submitted for it,
or it was missed and is not caught up. What was decided is in the table after the submission; that the
firing began is in the table before it. So whoever fires a tick again does it under the same id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

from callsheet_scheduler.domain.cron import newest_ticks, next_tick
from callsheet_scheduler.domain.job import JobId

#: How late a tick may be fired that is not to be caught up: a change of leaders is no reason to miss one.
LATE_S: Final = 60.0

#: How long a firing may take, over all leaders; and how old a tick may be whose instant goes into its job's
#: id. For an older one it is the instant at which the firing began. Ids older than a day are refused.
FIRING_MAX_S: Final = 11.5 * 3600.0


class CatchUp(IntEnum):
    """What happens to ticks that nobody was there to fire; the values are those on the wire."""

    NONE = 1
    LAST = 2
    ALL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The job that a schedule submits."""

    type: str
    params: str
    """A JSON object."""
    priority: int
    """0 for the default."""
    interactive: bool
    vram_mib: int | None
    max_retries: int | None
    unique_key: str = ""
    """A tick gives no job while a job of this key lives; empty for none."""
    collection: str = ""
    """The slug of the collection that its jobs belong to; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A job that is submitted again and again. Instants are seconds since 1970."""

    name: str
    cron: str
    time_zone: str
    jitter_s: float
    catch_up: CatchUp
    catch_up_max: int
    """Ticks that are caught up at most, where all are."""
    template: Template
    created_at: float
    decided_at: float
    """Every tick up to here is decided."""
    firing_at: float | None = None
    """When the firing under way began; None where none is."""
    paused_at: float | None = None
    last_tick: float | None = None
    """The newest tick that a job was submitted for."""
    last_job_id: JobId | None = None
    """The newest job, of a tick or of a run that somebody asked for."""
    error: str | None = None
    """Why the last firing submitted nothing."""

    @property
    def definition(self) -> tuple[object, ...]:
        """What somebody said of it: two schedules of one definition do the same."""
        return (self.cron, self.time_zone, self.jitter_s, self.catch_up, self.catch_up_max, self.template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """What a schedule does now."""

    ticks: tuple[float, ...]
    """To submit a job for, oldest first; none where all that came were missed."""
    decided_at: float
    """Every tick up to here is decided with it."""


def firing_of(schedule: Schedule, now: float) -> Firing | None:
    """Return what *schedule* does now; None where nothing is due.

    A firing that has begun is of the ticks that were due when it began: whoever goes on with it fires the
    same ones.
    """
    if schedule.paused_at is not None:
        return None
    now = now if schedule.firing_at is None else min(now, schedule.firing_at)
    most = schedule.catch_up_max if schedule.catch_up is CatchUp.ALL else 1
    found = newest_ticks(schedule.cron, schedule.time_zone, schedule.decided_at, now, most + 1)
    due = [tick for tick in found if due_at(schedule, tick) <= now]
    if not due:
        return None
    newest = due[-1]
    if schedule.catch_up is CatchUp.NONE and now - due_at(schedule, newest) > LATE_S:
        return Firing(ticks=(), decided_at=newest)
    return Firing(ticks=tuple(due[-most:]), decided_at=newest)


def next_due(schedule: Schedule) -> float | None:
    """Return when the first tick that is not decided falls due; None while paused, or where none comes."""
    if schedule.paused_at is not None:
        return None
    tick = next_tick(schedule.cron, schedule.time_zone, schedule.decided_at)
    return None if tick is None else due_at(schedule, tick)


def due_at(schedule: Schedule, tick: float) -> float:
    """Return when *tick* is to be fired: the same for everybody who asks."""
    if not schedule.jitter_s:
        return tick
    following = next_tick(schedule.cron, schedule.time_zone, tick)
    span_s = schedule.jitter_s if following is None else min(schedule.jitter_s, following - tick)
    share = int.from_bytes(_digest(schedule, tick, b"jitter")[:4], "big") / 2**32
    return tick + share * span_s


def job_id_of(schedule: Schedule, tick: float) -> JobId:
    """Return the id of the job for *tick* of a schedule whose firing has begun."""
    began_at = schedule.firing_at
    late = began_at is not None and tick < began_at - FIRING_MAX_S
    at = began_at if late and began_at is not None else tick
    chance = int.from_bytes(_digest(schedule, tick, b"job")[:10], "big")
    digits = f"{int(at * 1000):012x}7{chance >> 68:03x}{8 | chance >> 62 & 3:x}{chance & (1 << 60) - 1:015x}"
    return JobId("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def begun(schedule: Schedule, now: float) -> Schedule:
    """Return *schedule* with its firing begun, if anything is due.

    A firing that began too long ago is over: its jobs could not be submitted under the same ids any more, and
    a job too few is better than one twice. So is one that has nothing left to fire, since the schedule was
    changed or resumed meanwhile.
    """
    if schedule.firing_at is not None and now - schedule.firing_at > FIRING_MAX_S:
        decided_at = max(schedule.decided_at, schedule.firing_at)
        schedule = replace(schedule, firing_at=None, decided_at=decided_at)
    if schedule.firing_at is not None and firing_of(schedule, now) is None:
        schedule = replace(schedule, firing_at=None)
    if schedule.firing_at is None and firing_of(schedule, now) is not None:
        schedule = replace(schedule, firing_at=now)
    return schedule


def fired(schedule: Schedule, firing: Firing, job_ids: Mapping[float, JobId], error: str | None) -> Schedule:
    """Return *schedule* after *firing*, in which the jobs of some ticks were submitted."""
    last_tick = max(job_ids, default=schedule.last_tick)
    return replace(
        schedule,
        decided_at=max(schedule.decided_at, firing.decided_at),
        firing_at=None,
        last_tick=last_tick,
        last_job_id=job_ids[max(job_ids)] if job_ids else schedule.last_job_id,
        error=error if firing.ticks else schedule.error,
    )


class Timetable:
    """All schedules by name, and when each is next due."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}
        self._due: dict[str, float] = {}

    @property
    def by_name(self) -> Mapping[str, Schedule]:
        """Every schedule."""
        return MappingProxyType(self._schedules)

    def put(self, schedule: Schedule) -> None:
        """Add a schedule, or replace the one of its name."""
        self.remove(schedule.name)
        self._schedules[schedule.name] = schedule
        due = next_due(schedule)
        if due is not None:
            self._due[schedule.name] = due

    def remove(self, name: str) -> None:
        """Take a schedule out, if it is there."""
        self._schedules.pop(name, None)
        self._due.pop(name, None)

    def next_due(self, name: str) -> float | None:
        """Return when a schedule is next due."""
        return self._due.get(name)

    def due(self, now: float) -> Iterator[Schedule]:
        """Yield the schedules of which something is due, as they were at the call."""
        names = [name for name, at in self._due.items() if at <= now]
        yield from (self._schedules[name] for name in names if name in self._schedules)


def _digest(schedule: Schedule, tick: float, what: bytes) -> bytes:
    """Return bytes that look like chance and are the same for everybody.

    A schedule that is removed and added again under its name is another one.
    """
    text = f"{schedule.name} {schedule.created_at:.6f} {tick:.0f}"
    return blake2b(text.encode(), digest_size=16, person=what).digest()
