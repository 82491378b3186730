"""A scheduler process: it waits to lead, leads, is frozen, deposed, killed and started again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from callsheet_scheduler.commits import Commits
from callsheet_scheduler.domain.days import Days
from callsheet_scheduler.domain.device import KeptAccount
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LEASED, JobId, JobState, LiveJob, Token, WorkerId
from callsheet_scheduler.domain.ledger import LedgerRules
from callsheet_scheduler.domain.limits import Pause, Scope
from callsheet_scheduler.domain.patience import BackfillRules
from callsheet_scheduler.domain.retry import RetryRules
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.domain.schedules import Timetable
from callsheet_scheduler.leadership import Leadership, Term
from callsheet_scheduler.maintenance.looking import look_while_leading
from callsheet_scheduler.rpc.lease_service import Context, LeaseService
from callsheet_scheduler.store.connection import Own
from callsheet_scheduler.store.shared import Shared
from callsheet_scheduler.store.sizes import ItemKey
from callsheet_scheduler.store.statements import statement
from callsheet_scheduler.use_cases.actions import Actions
from callsheet_scheduler.use_cases.cron import Cron
from callsheet_scheduler.use_cases.fleet import Workers
from callsheet_scheduler.use_cases.grants import Grants
from callsheet_scheduler.use_cases.inbox import Inbox
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import Jobs
from callsheet_scheduler.use_cases.queues import Queues
from callsheet_scheduler.use_cases.schedules import Schedules
from callsheet_scheduler.use_cases.type_changes import TypeChanges

from callsheet.catalog import Category
from callsheet.errors import CallsheetError, UnavailableError
from callsheet.v1.lease_service_pb2 import WorkRequest, WorkResponse
from callsheet.worker.leftovers import Standing
from tests.support.job_types import NOOP
from tests.support.simulator.chance import Chance
from tests.support.simulator.contents import Contents, Row
from tests.support.simulator.plain_call import PlainCall
from tests.support.simulator.schedules import kept_schedule
from tests.support.simulator.streams import Pipe, StreamEndedError
from tests.support.simulator.tables import Connection, Database, kept_change, limits_of

START: Final = 1_800_000_000.0
LEASE_TTL_S: Final = 10.0
ORPHAN_LIMIT_S: Final = 60.0
RULES: Final = Rules(
    lease_ttl_s=LEASE_TTL_S,
    retry=RetryRules(base_s=0.5, cap_s=4.0),
    ledger=LedgerRules(margin_mib=500, fresh_s=LEASE_TTL_S, orphan_limit_s=ORPHAN_LIMIT_S),
    backfill=BackfillRules(patience_s=2.0),
)

TYPES: Final = (
    replace(NOOP, name="cut", run_limit_s=600, params_schema='{"properties": {"root": {"type": "string"}}}'),
    replace(NOOP, name="render", run_limit_s=600, category=Category.GPU_ENCODE, vram_mib=800, resumable=True),
    replace(NOOP, name="label", run_limit_s=600, category=Category.GPU_AI, vram_mib=2_500),
)

#: Statements whose rows are not looked at: schedulers know all job types, and jobs their collections.
_PASSED_OVER: Final = frozenset({statement("save_job_types"), statement("save_collections")})

AnswerT = TypeVar("AnswerT")


def _put_schedule(tables: Contents, values: tuple[object, ...]) -> None:
    schedule = kept_schedule(values)
    tables.schedules[schedule.name] = schedule


def _put_change(tables: Contents, values: tuple[object, ...]) -> None:
    kept = kept_change(values)
    tables.type_changes[kept.type] = kept


async def _no_sizes(_: Collection[ItemKey]) -> dict[ItemKey, int]:
    """Stand for the look at the library: no type of the simulator is sized by an item."""
    return {}


#: Statements that write one row, and what they do.
_PUTS: Final = {
    statement("save_schedule"): _put_schedule,
    statement("save_type_change"): _put_change,
}


class Controls:
    """Stands for the connection that keeps what administrators decide: knows its statements by heart."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, text: str, *values: object) -> None:
        """Carry out one of the statements of ``store.control`` or ``store.schedules``."""

        def change(tables: Contents) -> None:
            match text, values:
                case _, (str(scope), float(at), str(by)) if text == statement("save_pause"):
                    tables.pauses.setdefault(Scope(scope), Pause(scope=Scope(scope), at=at, by=by))
                case _, (str(scope),) if text == statement("delete_pause"):
                    tables.pauses.pop(Scope(scope), None)
                case _, (str(scope), host, fleet) if text == statement("save_limit"):
                    tables.limits[Scope(scope)] = (cast("int | None", host), cast("int | None", fleet))
                case _, (str(worker), grace, _, _) if text == statement("save_drain"):
                    tables.drains[WorkerId(worker)] = cast("float | None", grace)
                case _, (str(worker),) if text == statement("delete_drain"):
                    tables.drains.pop(WorkerId(worker), None)
                case _ if text in _PUTS:
                    _PUTS[text](tables, values)
                case _, (str(name),) if text == statement("delete_schedule"):
                    tables.schedules.pop(name, None)
                case _ if text in _PASSED_OVER:
                    pass
                case _:
                    message = f"the simulator does not know this statement: {text}"
                    raise AssertionError(message)

        await self._connection.keep(change)

    async def fetch(self, text: str, limit: int, _: int) -> list[dict[str, object]]:
        """Read the inbox."""
        assert text == statement("read_inbox"), text
        inbox = await self._connection.read_inbox()
        return [inbox[number]._asdict() for number in sorted(inbox)[:limit]]


class Scheduler:
    """One process. Stands for ``Leadership`` towards the use cases."""

    def __init__(self, name: str, database: Database, chance: Chance) -> None:
        self.name = name
        self.reasons: list[str] = []
        """Why it stepped down, each time."""
        self._database = database
        self._chance = chance
        self._term: Term | None = None
        self._tasks: dict[asyncio.Future[Any], None] = {}  # in order: a set would bring chance in
        self._running = asyncio.Event()
        self._running.set()
        self._begin()

    def _begin(self) -> None:
        self.alive = True
        self.deposed = False
        self._running.set()
        types = self._types = JobTypes()
        for known in TYPES:
            types.learn(known)
        leadership = cast("Leadership", self)
        self.jobs = Jobs(leadership, types, self._read_done, _no_sizes)
        self.actions = Actions(leadership, types, self._read_done)
        self.queues = Queues(leadership, types)
        self.workers = Workers(leadership)
        self.schedules = Schedules(leadership, self.jobs)
        self.changes = TypeChanges(leadership, types)
        grants = Grants(leadership, types, self.jobs)
        self._service = LeaseService(grants, lease_ttl_s=LEASE_TTL_S, orphan_limit_s=ORPHAN_LIMIT_S)
        self.start(self._lead())
        inbox = Inbox(leadership, self.jobs, types, self._read_done)
        for look in (Cron(leadership, self.jobs).fire, inbox.take, self.changes.move_some):
            self.start(look_while_leading(leadership, "this waits", look))

    # ---- what the use cases ask of the leadership ----

    @property
    def term(self) -> Term | None:
        """The present leadership of this process, if it leads."""
        return self._term

    def current(self) -> Term:
        """Return the present leadership."""
        if self._term is None:
            message = "no scheduler leads here"
            raise UnavailableError(message)
        return self._term

    async def leading(self) -> Term:
        """Return the present leadership; the caller comes again where there is none."""
        await self.gate()
        return self.current()

    def now(self) -> float:
        """Return the database's time."""
        return START + asyncio.get_running_loop().time()

    # ---- life of the process ----

    def start(self, work: Coroutine[None, None, object]) -> asyncio.Task[object]:
        """Run *work* as part of this process."""
        task = asyncio.get_running_loop().create_task(work)
        self.adopt(task)
        return task

    def adopt(self, task: "asyncio.Task[AnswerT]") -> None:
        """Make *task* part of this process."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def kill(self) -> None:
        """End the process at once."""
        self.alive = False
        self._term = None
        if self._database.leader is self:
            self._database.leader = None
        for task in list(self._tasks):
            task.cancel()

    def restart(self) -> None:
        """Start the process again, if it is dead."""
        if not self.alive:
            self._begin()

    async def freeze(self, seconds: float) -> None:
        """Let the process do nothing for a while."""
        self._running.clear()
        await asyncio.sleep(seconds)
        self._running.set()

    async def gate(self) -> None:
        """Wait while the process is frozen."""
        while not self._running.is_set():
            await self._running.wait()

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CallsheetError):
            self._database.faults.append(error)

    # ---- leadership ----

    async def _lead(self) -> None:
        database = self._database
        while True:
            await asyncio.sleep(0.2 + self._chance.random.random() * 0.3)
            await self.gate()
            if database.leader is None:
                database.leader = self
                await self._serve()

    async def _serve(self) -> None:
        database = self._database
        database.term += 1
        number = database.term
        self.deposed = False
        await asyncio.sleep(self._chance.delay_s(0.02))
        await self.gate()
        if database.term != number:
            return
        contents = database.contents
        self._types.restore(contents.type_changes.values())
        engine = Engine(term=number, rules=RULES)
        engine.restore_ledger(
            [
                KeptAccount(card=kept.card, host=kept.host, bounds=kept.bounds)
                for kept in contents.devices.values()
            ],
            contents.allocations.values(),
        )
        for row in sorted(contents.live.values(), key=lambda row: row.job.sequence):
            engine.restore(restored(row), self.now())
        engine.restore_ties({job_id: done.state for job_id, done in contents.done.items()}, self.now())
        engine.restore_controls(
            pauses=contents.pauses.values(),
            limits=limits_of(contents),
            drained=contents.drains,
            outputs=contents.outputs.values(),
            now=self.now(),
        )
        timetable = Timetable()
        for schedule in contents.schedules.values():
            timetable.put(schedule)
        connection = Connection(database, self._chance, number, self.gate)
        commits = Commits(engine, connection, self.now)
        self._term = Term(
            number=number,
            commits=commits,
            library=Shared(cast("Own", Controls(connection))),
            days=Days(end=JobId("f" * 36)),
            timetable=timetable,
        )
        lanes, ticks = self.start(commits.run()), self.start(self._tick(commits))
        await commits.lost.wait()
        self.reasons.append(commits.reason)
        self._term = None
        for running in (lanes, ticks):
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        if database.leader is self:
            database.leader = None

    async def _tick(self, commits: Commits) -> None:
        while True:
            await asyncio.sleep(0.25)
            await self.gate()
            commits.engine.tick(commits.now())
            commits.flush()
            if self.deposed or (self._chance.calm and self._database.term != commits.engine.term):
                commits.step_down("a connection was lost")

    async def _read_done(self, ids: Sequence[JobId]) -> dict[JobId, tuple[LiveJob, JobState]]:
        travel_s = self._chance.delay_s(0.003) / 2
        await asyncio.sleep(travel_s)
        found: dict[JobId, tuple[LiveJob, JobState]] = {}
        for job_id in ids:
            done = self._database.contents.done.get(job_id)
            if done is not None:
                job = restored(done.row)
                job.state, job.run_at, job.retry_after = JobState.PENDING, None, None
                job.lost_count = job.capacity_count = job.out_of_vram_count = 0
                job.cancel_requested_at = job.pause_requested_at = None
                job.worker_id, job.host, job.error = None, None, done.error
                found[job_id] = job, done.state
        await asyncio.sleep(travel_s)
        return found

    def standing(self, job_id: JobId, token: Token) -> Standing:
        """Return what the fence and the job's state say of a lease."""
        contents = self._database.contents
        row, done = contents.live.get(job_id), contents.done.get(job_id)
        if row is not None and row.job.token == token and row.job.state in LEASED:
            return Standing.HELD
        return Standing.SETTLED if done is not None and done.state is JobState.COMPLETED else Standing.OVER

    # ---- calls and streams ----

    async def call(self, work: Callable[["Scheduler"], Awaitable[AnswerT]]) -> AnswerT:
        """Answer a client's call."""
        await self.gate()
        answer = await work(self)
        await self.gate()
        return answer

    async def serve(self, requests: Pipe[WorkRequest], responses: Pipe[WorkResponse]) -> None:
        """Serve a worker's stream to its end."""

        async def arriving() -> AsyncIterator[WorkRequest]:
            with suppress(StreamEndedError):
                while True:
                    request = await requests.next()
                    await self.gate()
                    yield WorkRequest.FromString(request.SerializeToString())

        try:
            async for response in self._service.Work(arriving(), cast("Context", PlainCall())):
                await self.gate()
                responses.send(WorkResponse.FromString(response.SerializeToString()))
        except CallsheetError:
            pass
        finally:
            responses.end()


def restored(row: Row) -> LiveJob:
    """Return the record of a job as the statement that loads it would."""
    job, tied = row.job, row.job.ties
    return LiveJob(
        id=job.id,
        sequence=job.sequence,
        type=job.type,
        category=job.category,
        priority=job.priority,
        interactive=job.interactive,
        vram_mib=job.vram_mib,
        max_retries=job.max_retries,
        request_hash=job.request_hash,
        parent_id=job.parent_id,
        created_at=job.created_at,
        run_at=job.run_at,
        root=job.root,
        state=JobState.QUEUED if job.state is JobState.RUNNING else job.state,
        token=Token(job.token),
        attempt=job.attempt,
        retry_count=job.retry_count,
        lost_count=job.lost_count,
        capacity_count=job.capacity_count,
        out_of_vram_count=job.out_of_vram_count,
        size_class=job.size_class,
        retry_after=job.retry_after,
        worker_id=job.worker_id,
        host=job.host,
        device=job.device,
        cancel_requested_at=job.cancel_requested_at,
        pause_requested_at=job.pause_requested_at,
        error=job.error,
        collection=job.collection,
        submitted_by=job.submitted_by,
        ties=None if tied is None else replace(tied, open=set(tied.children or tied.needs), broken=None),
    )
