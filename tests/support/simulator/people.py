"""People who submit jobs, change their minds, and repeat what was not answered."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from callsheet_scheduler.domain.job import IfFails, JobId
from callsheet_scheduler.domain.limits import SCOPE_OF, Scope
from callsheet_scheduler.store.inbox import InboxRow
from callsheet_scheduler.use_cases.actions import Action
from callsheet_scheduler.use_cases.jobs import Submission
from callsheet_scheduler.use_cases.queues import NewLimits
from callsheet_scheduler.use_cases.type_changes import NewNeeds

from callsheet.catalog import Category
from callsheet.errors import (
    CallsheetError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    StateError,
    UnavailableError,
)
from callsheet.v1.job_pb2 import (
    FAILURE_KIND_BAD_INPUT,
    FAILURE_KIND_CAPACITY,
    FAILURE_KIND_OUT_OF_VRAM,
    FAILURE_KIND_TRANSIENT,
)
from tests.support.simulator.chance import Chance
from tests.support.simulator.contents import POISON, Contents
from tests.support.simulator.hellos import uuid7
from tests.support.simulator.laws import Book, LawBrokenError
from tests.support.simulator.scheduler import START, TYPES, Scheduler
from tests.support.simulator.tables import Database

#: Virtual seconds of people and faults.
STORM_S: Final = 60.0

CALL_DEADLINE_S: Final = 5.0

#: What a job can come to grief by: how likely, and how the worker tells of it.
FAILURES: Final = {
    "break": (1.0, FAILURE_KIND_BAD_INPUT, "broken"),
    "fail": (0.6, FAILURE_KIND_TRANSIENT, "it failed"),
    "crowd": (0.5, FAILURE_KIND_CAPACITY, "no memory"),
    "choke": (0.4, FAILURE_KIND_OUT_OF_VRAM, "no GPU memory"),
}

DOINGS: Final = ("work", "fail", "break", "crowd", "crash", "return", "choke")

AnswerT = TypeVar("AnswerT")

Call = Callable[[Scheduler], Awaitable[object]]


class People:
    """Everybody who uses the system."""

    def __init__(
        self,
        chance: Chance,
        database: Database,
        schedulers: list[Scheduler],
        book: Book,
        *,
        vram_mib_max: int,
    ) -> None:
        self.chance = chance
        self.database = database
        self.schedulers = schedulers
        self.book = book
        self._vram_mib_max = vram_mib_max
        self._submitted: list[Submission] = []
        self._number = 0
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._uncertain: set[str] = set()

    async def insist(self, call: Call) -> None:
        """Make a call until it is answered."""
        while True:
            try:
                await self._call(call)
            except (UnavailableError, OverloadedError):
                await asyncio.sleep(0.5)
            except (NotFoundError, StateError, ConflictError):
                return
            else:
                return

    def new_id(self) -> str:
        """Return a fresh id."""
        at_ms = int((START + asyncio.get_running_loop().time()) * 1000)
        return uuid7(at_ms, self.chance.random.getrandbits(74))

    async def person(self, workers: list[str]) -> None:
        """Somebody who submits jobs, and changes their mind."""
        random = self.chance.random
        loop = asyncio.get_running_loop()
        doings = (
            (self._submit, 10),
            (self._submit_again, 2),
            (self._leave, 2),
            (self._act, 6),
            (self._pause_scope, 1),
            (self._limit, 1),
            (self._change_type, 1),
            (partial(self._drain, workers), 1),
        )
        for _ in range(random.randint(5, 25)):
            await asyncio.sleep(self.chance.delay_s(1.5))
            if loop.time() > STORM_S:
                return
            doing = random.choices([one for one, _ in doings], [weight for _, weight in doings])[0]
            try:
                await doing()
            except (UnavailableError, OverloadedError):
                continue

    async def _submit(self) -> None:
        submissions: list[Submission] = []
        for _ in range(self.chance.random.randint(1, 5)):
            submissions.append(self._new_submission(submissions))
        self._submitted += submissions
        await self._send(submissions)

    async def _leave(self) -> None:
        """Leave a job in the inbox, in a transaction of one's own: a good one, a bad one, or one again."""
        random, left = self.chance.random, self.book.left
        if left and random.random() < 0.2:
            row = random.choice(list(left.values()))._replace(number=len(left) + 1)
        else:
            row = InboxRow(
                number=len(left) + 1,
                id=self.new_id(),
                type=random.choice(["cut", "cut", "cut", "no_such_type"]),
                params="{}",
                priority=None,
                interactive=random.random() < 0.2,
                vram_mib=None,
                max_retries=None,
                run_at=None,
                depends_on=[random.choice(list(left.values())).id] if left and random.random() < 0.2 else [],
                unique_key="",
                collection=f"trip-{random.randint(1, 3)}" if random.random() < 0.3 else "",
            )
        left[row.number] = row

        def leave(contents: Contents) -> None:
            contents.inbox = {**contents.inbox, row.number: row}

        self.database.commit(leave, ())

    async def _submit_again(self) -> None:
        if self._submitted:
            await self._send([self.chance.random.choice(self._submitted)])

    async def _send(self, submissions: list[Submission]) -> None:
        try:
            answers = await self._persist(lambda to: to.jobs.submit(submissions))
        except (InvalidError, ConflictError):
            return
        contents = self.database.contents
        for answer in answers:
            known = answer.id in contents.live or answer.id in contents.done
            if not known:
                message = f"{answer.id} was accepted before it was durable"
                raise LawBrokenError(message)
            self.book.accepted.setdefault(answer.id, asyncio.get_running_loop().time())

    def _new_submission(self, before: list[Submission]) -> Submission:
        """Return a job that may need some of *before*, or of what was submitted of late."""
        random = self.chance.random
        loop_time = asyncio.get_running_loop().time()
        known = random.choice(TYPES)
        job_type = known.name
        larger = known.category is not Category.CPU and random.random() < 0.3
        wanted: dict[str, object] = {
            "do": random.choices(DOINGS, [12, 3, 1, 1, 1, 1, 1])[0],
            "s": round(min(random.expovariate(1.0), 6.0), 3),
            "parts": random.randint(1, 4),
        }
        if random.random() < 0.1:
            wanted["children"] = random.randint(1, 3)
        if random.random() < 0.15:
            wanted["yields"] = random.randint(1, 2)
        if random.random() < 0.1:
            self._number += 1
            wanted["output"] = f"made/{self._number}"
        if known.category is not Category.CPU:
            wanted["mib"] = round(known.vram_mib * random.choice((0.3, 0.9, 1.2, 2.0, 8.0, 100.0)))
        if job_type == "cut" and random.random() < 0.3:
            wanted["root"] = random.choice(["media", "archive"])
        if self.chance.strikes(self.chance.faults.content_refused):
            wanted["note"] = POISON
        return Submission(
            id=self.new_id(),
            type=job_type,
            params=json.dumps(wanted),
            priority=random.randint(1, 10),
            vram_mib=random.randint(known.vram_mib, self._vram_mib_max) if larger else None,
            max_retries=random.randint(0, 3),
            run_at=START + loop_time + random.random() * 5 if random.random() < 0.1 else None,
            interactive=random.random() < 0.2,
            depends_on=self._needs(before),
            if_dependency_fails=random.choice(list(IfFails)),
            unique_key=f"key-{random.randint(1, 3)}" if random.random() < 0.1 else "",
            collection=f"trip-{random.randint(1, 3)}" if random.random() < 0.3 else "",
        )

    def _needs(self, before: list[Submission]) -> tuple[str, ...]:
        random = self.chance.random
        known = [one.id for one in [*self._submitted[-8:], *before]]
        if not known or random.random() < 0.8:
            return ()
        return tuple(dict.fromkeys(random.choices(known, k=random.randint(1, 3))))

    async def _act(self) -> None:
        random = self.chance.random
        if not self._submitted:
            return
        among = self._submitted[-8:] if random.random() < 0.5 else self._submitted
        ids = [JobId(random.choice(among).id) for _ in range(random.randint(1, 3))]
        action = random.choice(list(Action))
        if action is Action.RETRY:
            self.book.manual.update(dict.fromkeys(ids, 20))
        await self._call(
            lambda to: to.actions.act(action, ids, by="somebody", priority=random.randint(1, 10))
        )

    async def _pause_scope(self) -> None:
        random = self.chance.random
        scope = random.choice([Scope("all"), *SCOPE_OF.values(), Scope("cut")])
        async with self._turns[scope]:
            await self._steer(scope, lambda to: to.queues.pause(scope, by="somebody"))
            self._hold(scope)
            await asyncio.sleep(self.chance.delay_s(3.0))
            self.book.held[scope] = 0
            await self._steer(scope, lambda to: to.queues.resume(scope))

    async def _limit(self) -> None:
        random = self.chance.random
        scope = random.choice(list(SCOPE_OF.values()))
        host, fleet = random.randint(0, 6), random.randint(1, 8)
        key = f"limit {scope}"
        async with self._turns[key]:
            self.book.limits.pop(("*", scope), None)
            self.book.limits.pop(("", scope), None)
            await self._steer(key, lambda to: to.queues.limit(scope, NewLimits(host=host, fleet=fleet)))
            if key not in self._uncertain:
                self.book.limits["*", scope] = host
                self.book.limits["", scope] = fleet

    async def _change_type(self) -> None:
        """Decide what jobs of a type need; whatever it is, some GPU has it."""
        random = self.chance.random
        name = random.choice([one.name for one in TYPES if one.category is not Category.CPU])
        new = NewNeeds(
            vram_mib=random.randint(100, self._vram_mib_max) if random.random() < 0.7 else None,
            learns_vram=random.choice([True, False, None]),
            run_limit_s=random.randint(300, 900) if random.random() < 0.3 else None,
        )
        if random.random() < 0.2:
            new = NewNeeds(clear=frozenset({"vram_mib", "learns_vram"}))
        await self._call(lambda to: to.changes.change(name, new, by="somebody"))

    async def _drain(self, workers: list[str]) -> None:
        name = self.chance.random.choice(workers)
        grace_s = self.chance.random.choice([None, 0.0, 2.0])
        key = f"worker {name}"
        async with self._turns[key]:
            try:
                await self._steer(key, partial(_drain_worker, name, grace_s))
                self._hold(key)
                await asyncio.sleep(self.chance.delay_s(3.0))
                self.book.held[key] = 0
                await self._steer(key, lambda to: to.workers.resume(name))
            except NotFoundError:
                return

    def _hold(self, key: str) -> None:
        if key not in self._uncertain:
            self.book.held[key] = 1

    async def _steer(self, key: str, call: Call) -> None:
        """Make a call that must not be followed by an earlier one that was long under way.

        Where an answer was lost, the call may yet take effect, so nothing is held to be true after it.
        """
        for _ in range(20):
            try:
                await self._call(call, repeated=False)
            except UnavailableError:
                self._uncertain.add(key)
                self.book.held[key] = 0
                await asyncio.sleep(self.chance.delay_s(0.5))
            else:
                return

    async def _persist(self, call: Callable[[Scheduler], Awaitable[AnswerT]]) -> AnswerT:
        """Make a call as the client library does: again until it is answered, within patience."""
        for _ in range(20):
            try:
                return await self._call(call)
            except UnavailableError:
                await asyncio.sleep(self.chance.delay_s(0.5))
        message = "patience has ended"
        raise UnavailableError(message)

    async def _call(
        self, call: Callable[[Scheduler], Awaitable[AnswerT]], *, repeated: bool = True
    ) -> AnswerT:
        """Make one call; it may be lost on the way there or back, or arrive twice."""
        chance, faults = self.chance, self.chance.faults
        lost = UnavailableError("no answer")
        await asyncio.sleep(chance.delay_s(0.002))
        scheduler = next((one for one in self.schedulers if one.term is not None), None)
        if scheduler is None or chance.strikes(faults.call_lost):
            raise lost
        if repeated and chance.strikes(faults.call_repeated):
            scheduler.start(_forget(scheduler.call(call)))
        answering = asyncio.ensure_future(scheduler.call(call))
        scheduler.adopt(answering)
        done, _ = await asyncio.wait({answering}, timeout=CALL_DEADLINE_S)
        if not done:
            answering.cancel()
            raise lost
        if answering.cancelled():
            raise lost
        if chance.strikes(faults.answer_lost):
            answering.exception()
            raise lost
        return answering.result()


async def _forget(answering: Awaitable[object]) -> None:
    try:
        await answering
    except CallsheetError:
        return


async def _drain_worker(name: str, grace_s: float | None, to: Scheduler) -> object:
    return await to.workers.drain(name, grace_s=grace_s, by="somebody")
