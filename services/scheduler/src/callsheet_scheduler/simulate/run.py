"""Runs a mix: the production engine, workers that do nothing but take time, and a clock that jumps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Final, NamedTuple

from callsheet.catalog import Category
from callsheet_scheduler.domain.device import Card, DeviceId
from callsheet_scheduler.domain.effects import Brought, NewRow, SendGrant
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import Capability
from callsheet_scheduler.domain.job import RETRIES_DEFAULT, JobId, LiveJob, WorkerId
from callsheet_scheduler.domain.limits import SCOPE_OF, Limits
from callsheet_scheduler.domain.outcome import Ending, Outcome
from callsheet_scheduler.domain.rules import Rules
from callsheet_scheduler.simulate.arrivals import MARGIN_MIB, Arrivals
from callsheet_scheduler.simulate.figures import Capacity, Tally
from callsheet_scheduler.simulate.mix import Host, Mix

#: The instant at which a simulation begins, in seconds since 1970.
START: Final = 1_800_000_000.0

#: Jobs of one submission.
SUBMISSION_MAX: Final = 1_000

#: Jobs between two reports of progress.
PROGRESS_STEP: Final = 1_000


class End(NamedTuple):
    """An attempt that ends."""

    at: float
    number: int
    """Of the lease, so that what ends at one instant ends in the order in which it was granted."""
    since: float
    job: LiveJob
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One host, and the description that it follows."""

    name: str
    like: str
    host: Host


def machines(mix: Mix) -> Iterator[Machine]:
    """Yield every host of *mix*."""
    for like, host in mix.hosts.items():
        for number in range(1, host.count + 1):
            yield Machine(name=like if host.count == 1 else f"{like}-{number}", like=like, host=host)


class Run:
    """A mix under one policy and one seed, from the first arrival to the last end."""

    def __init__(self, mix: Mix, arrivals: Arrivals, rules: Rules, seed: int) -> None:
        self._mix = mix
        self._arrivals = arrivals
        self._seed = seed
        self._sorts = list(mix.jobs.values())
        self._engine = Engine(term=1, rules=rules)
        self._first = self._engine.next_sequence() + 1
        self._workers: list[WorkerId] = []
        self._ends: list[End] = []
        self._leases = 0
        self._came = 0
        window_s = arrivals.at_s[-1] or float("inf")
        self.tally = Tally(arrivals.names, window_s, START)
        self._connect()

    def _connect(self) -> None:
        scopes = {SCOPE_OF[category]: self._mix.limits.of(category) for category in Category}
        self._engine.set_limits(Limits(host=scopes), START)
        names: dict[bool, set[str]] = {False: set(), True: set()}
        for name, sort in self._mix.jobs.items():
            names[sort.resource is not Category.CPU].add(sort.type or name)
        for machine in machines(self._mix):
            for gpu, types in names.items():
                slots = self._mix.slots(machine.host, gpu=gpu)
                if slots:
                    cards = tuple(cards_of(machine)) if gpu else ()
                    worker = WorkerId(f"{machine.name}-{'gpu' if gpu else 'cpu'}")
                    self._workers.append(worker)
                    capability = Capability(
                        id=worker, host=machine.name, slots=slots, types=frozenset(types), cards=cards
                    )
                    self._engine.hello(capability, len(self._workers), slots, (), START)
        self._commit(START)

    def go(self, progress: Callable[[int, int], None]) -> Tally:
        """Run to the end, and say now and then to *progress* how many jobs are over, of how many."""
        never, last = float("inf"), -1
        while True:
            came = self._arrivals.at_s[self._came] + START if self._came < len(self._arrivals) else never
            ends = self._ends[0].at if self._ends else never
            wakes = self._engine.queue.next_instant() or never
            now = min(came, ends, wakes)
            if now == never:
                return self.tally
            if now == ends:
                self._end(heappop(self._ends))
            elif now == came:
                self._arrive(now)
            else:
                self._engine.plan(now)
            self._commit(now)
            over = (self.tally.completed + self.tally.failed) // PROGRESS_STEP
            if over != last:
                progress(over * PROGRESS_STEP, len(self._arrivals))
                last = over

    def _arrive(self, now: float) -> None:
        """Submit what comes at this instant."""
        rows: list[NewRow] = []
        at_s = self._arrivals.at_s
        while self._came < len(at_s) and at_s[self._came] + START <= now and len(rows) < SUBMISSION_MAX:
            rows.append(NewRow(job=self._job(self._came, now), params=""))
            self._came += 1
        self._engine.submit(0, rows, now)

    def _job(self, number: int, now: float) -> LiveJob:
        arrivals = self._arrivals
        kind = arrivals.sort[number]
        sort = self._sorts[kind]
        return LiveJob(
            id=JobId(f"{number:09}"),
            sequence=self._engine.next_sequence(),
            type=sort.type or arrivals.names[kind],
            category=sort.resource,
            priority=arrivals.priority[number],
            interactive=False,
            vram_mib=arrivals.vram_mib[number],
            max_retries=RETRIES_DEFAULT,
            request_hash=number,
            parent_id=None,
            created_at=now,
            run_at=None,
            size_class=sort.size_class,
        )

    def _commit(self, now: float) -> None:
        """Everything is durable as soon as it is decided."""
        engine = self._engine
        while engine.intake or engine.turn:
            inserts = engine.intake[:]
            engine.intake.clear()
            if inserts:
                engine.inserted(inserts, now)
            turn = engine.turn[:]
            engine.turn.clear()
            for effect in turn:
                engine.committed(effect, now)
            if turn:
                engine.plan(now)
        for message in engine.messages:
            if isinstance(message, SendGrant):
                self._begin(message, now)
        engine.messages.clear()

    def _begin(self, grant: SendGrant, now: float) -> None:
        job = grant.job
        number = job.sequence - self._first
        if grant.attempt == 1:
            self.tally.granted(job, self._arrivals.sort[number], now)
        worker = self._workers[grant.session - 1]
        self._engine.started(worker, job.id, grant.token, now)
        self._leases += 1
        end_at = now + self._arrivals.run_s[number]
        heappush(self._ends, End(end_at, self._leases, now, job, grant.session))

    def _end(self, end: End) -> None:
        job, engine = end.job, self._engine
        worker = self._workers[end.session - 1]
        number = job.sequence - self._first
        by, lease, span = (worker, end.session), (job.id, job.token), (end.since, end.at)
        if self._fails(number, job.attempt):
            outcome = Outcome(ending=Ending.TRANSIENT, reason="It failed, as the mix has it")
            engine.ended(by, lease, outcome, span=span, now=end.at)
        else:
            engine.completed(by, lease, Brought(), span=span)
        engine.credit(worker, 1, end.at)
        self._commit(end.at)
        self.tally.ended(job, end.since, end.at, job.state)

    def _fails(self, number: int, attempt: int) -> bool:
        """Return whether an attempt fails: the same under every policy."""
        share = self._sorts[self._arrivals.sort[number]].fails
        if not share:
            return False
        chance = Random(f"{self._seed} {number} {attempt}")  # noqa: S311 -- shall come out the same again
        return chance.random() < share


def cards_of(machine: Machine) -> Iterator[Card]:
    """Yield the GPUs of a host."""
    for index, card in enumerate(machine.host.gpus):
        yield Card(
            id=DeviceId(f"{machine.name} GPU {index}"),
            index=index,
            name="simulated",
            memory_mib=card.memory_mb,
            encoder_sessions_max=card.encoder_sessions,
        )


def capacity(mix: Mix) -> Capacity:
    """Return what the fleet of *mix* has."""
    places = {
        category: sum(host.count * mix.places(host, category) for host in mix.hosts.values())
        for category in Category
    }
    cards = [(machine, card) for machine in machines(mix) for card in cards_of(machine)]
    return Capacity(
        places=places,
        usable_mib={card.id: card.memory_mib - MARGIN_MIB for _, card in cards},
        group={card.id: f"{machine.like} GPU {card.index}" for machine, card in cards},
    )
