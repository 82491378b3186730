"""A database that fails where chance says so."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import TypeVar, cast

from callsheet_scheduler.domain.effects import (
    FreeVram,
    KeepDevice,
    NewRow,
    SettleOutput,
    Taken,
    TurnEffect,
)
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.domain.job_type import KeptChange, TypeChange
from callsheet_scheduler.domain.limits import Limits
from callsheet_scheduler.outlets import Tables
from callsheet_scheduler.store.errors import (
    ContendedError,
    ExhaustedError,
    OutcomeUnknownError,
)
from callsheet_scheduler.store.inbox import InboxRow
from callsheet_scheduler.store.queue import DoneJob, LogRow
from typing_extensions import override

from tests.support.simulator.chance import Chance
from tests.support.simulator.contents import Contents

ValueT = TypeVar("ValueT")
EffectT = TypeVar("EffectT", bound=TurnEffect)


Watcher = Callable[[Contents, Contents, "Sequence[NewRow] | Sequence[TurnEffect]"], None]
"""Told of every commit: the tables before, the tables after, what was written."""


Recorder = Callable[["Sequence[NewRow] | Sequence[TurnEffect]"], None]
"""Told of what every commit wrote."""


class Database:
    """The tables, the term, and who may write."""

    def __init__(self, chance: Chance, watch: Watcher) -> None:
        self.contents = Contents()
        self.term = 0
        self.leader: object | None = None
        """The process that holds the first key."""
        self.faults: list[BaseException] = []
        """What went wrong that never may."""
        self.full_until = 0.0
        self.recorder: Recorder | None = None
        self.commits = 0
        self.unknown = 0
        self.history = sha256()
        """Of all that was written, in order, with its instants."""
        self._chance = chance
        self._watch = watch

    def commit(
        self, change: Callable[[Contents], ValueT], what: "Sequence[NewRow] | Sequence[TurnEffect]"
    ) -> ValueT:
        """Apply *change* as one transaction."""
        after = self.contents.fork()
        value = change(after)
        before, self.contents = self.contents, after
        self.commits += 1
        if self.recorder is not None:
            self.recorder(what)
        self._note(what)
        self._watch(before, after, what)
        return value

    def _note(self, what: "Sequence[NewRow] | Sequence[TurnEffect]") -> None:
        self.history.update(f"{asyncio.get_running_loop().time()}".encode())
        for one in what:
            match one:
                case SettleOutput():
                    said = f"{one.output}"
                case KeepDevice():
                    said = f"{one.card} {one.bounds}"
                case FreeVram():
                    said = f"{one.lease}"
                case _:
                    job = one.job
                    said = f"{job.id} {job.token} {job.state.name} {job.worker_id} {job.device}"
            self.history.update(f"{type(one).__name__} {said}\n".encode())


class Connection(Tables):
    """What one leadership writes through."""

    def __init__(
        self, database: Database, chance: Chance, term: int, gate: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._chance = chance
        self._term = term
        self._gate = gate

    @override
    async def insert(self, rows: Sequence[NewRow], taken: Sequence[Taken] = ()) -> dict[JobId, DoneJob]:
        return await self._transact(lambda tables: tables.insert(rows, taken), rows)

    @override
    async def turn(self, batch: Sequence[TurnEffect], *, now: float) -> None:
        await self._transact(lambda tables: tables.turn(batch, now=now), batch)

    @override
    async def logs(self, rows: Sequence[LogRow]) -> None:
        await self._transact(lambda tables: tables.append(rows), ())

    @override
    async def has_yielded(self, job_id: JobId, token: Token) -> bool:
        await self._travel()
        return any(
            (ended, under, word) == (job_id, token, "yielded")
            for ended, _, under, word in self._database.contents.attempts
        )

    @override
    async def look_up(self, job_id: JobId) -> DoneJob | None:
        await self._travel()
        return self._database.contents.done_job(job_id)

    async def keep(self, change: Callable[[Contents], None]) -> None:
        """Write what an administrator decided."""
        await self._transact(change, ())

    async def read_inbox(self) -> Mapping[int, InboxRow]:
        """Return what applications left."""
        await self._travel()
        self._must_be_mine()
        return self._database.contents.inbox

    async def _travel(self) -> None:
        await asyncio.sleep(self._chance.delay_s(0.004))
        await self._gate()

    async def _transact(
        self, change: Callable[[Contents], ValueT], what: "Sequence[NewRow] | Sequence[TurnEffect]"
    ) -> ValueT:
        chance, faults = self._chance, self._chance.faults
        await self._travel()
        self._must_be_mine()
        if self._database.full_until > asyncio.get_running_loop().time():
            message = "could not extend file: no space left on device"
            raise ExhaustedError(message)
        if chance.strikes(faults.commit_contended):
            message = "canceling statement due to lock timeout"
            raise ContendedError(message)
        if chance.strikes(faults.commit_stalled):
            await asyncio.sleep(chance.delay_s(8.0))
            self._must_be_mine()
        if chance.strikes(faults.commit_lost_before):
            raise self._unknown()
        if chance.strikes(faults.commit_lost_late):
            asyncio.get_running_loop().call_later(chance.delay_s(1.0), self._late, change, what)
            raise self._unknown()
        value = self._database.commit(change, what)
        if chance.strikes(faults.commit_lost_after):
            raise self._unknown()
        await self._travel()
        if self._database.term != self._term:
            raise self._unknown()
        return value

    def _late(
        self, change: Callable[[Contents], ValueT], what: "Sequence[NewRow] | Sequence[TurnEffect]"
    ) -> None:
        """A statement whose answer was lost runs after all, where its session was not ended."""
        if self._database.term == self._term:
            self._database.commit(change, what)

    def _must_be_mine(self) -> None:
        if self._database.term != self._term:
            raise self._unknown()

    def _unknown(self) -> OutcomeUnknownError:
        self._database.unknown += 1
        return OutcomeUnknownError("the connection was lost")


def kept_change(values: tuple[object, ...]) -> KeptChange:
    """Return the decision on a job type that a statement keeps."""
    job_type, vram_mib, run_limit_s, learns_vram, at, by, moves_mib = values
    return KeptChange(
        type=cast("str", job_type),
        change=TypeChange(
            vram_mib=cast("int | None", vram_mib),
            run_limit_s=cast("int | None", run_limit_s),
            learns_vram=cast("bool | None", learns_vram),
        ),
        at=cast("float", at),
        by=cast("str", by),
        moves_mib=frozenset(cast("list[int]", moves_mib)),
    )


def limits_of(contents: Contents) -> Limits:
    """Return the limits that were kept."""
    return Limits(
        host={scope: one[0] for scope, one in contents.limits.items() if one[0] is not None},
        fleet={scope: one[1] for scope, one in contents.limits.items() if one[1] is not None},
    )
