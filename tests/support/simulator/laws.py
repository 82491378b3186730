"""The invariants of the design, checked at every commit, at every step, and at the end."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from callsheet_scheduler.domain.device import held_by
from callsheet_scheduler.domain.effects import (
    ChangeJob,
    FinishJob,
    GrantLease,
    NewRow,
    ReleaseLease,
    TurnEffect,
)
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import LEASED, TRANSITIONS, IfFails, JobId, JobState, LiveJob
from callsheet_scheduler.domain.limits import Scope, scopes_of
from callsheet_scheduler.domain.retry import OUT_OF_VRAM_MAX, YIELDS_MAX
from callsheet_scheduler.store.inbox import InboxRow

from callsheet.v1.lease_service_pb2 import RESULT_FATE_COMMITTED, RESULT_FATE_DUPLICATE
from callsheet.worker.stream.commands import LeaseKey
from tests.support.simulator.cards import Cards
from tests.support.simulator.contents import Contents
from tests.support.simulator.promises import Promises
from tests.support.simulator.scheduler import START, TYPES
from tests.support.simulator.schedules import Timekeeper
from tests.support.simulator.tables import Database
from tests.support.simulator.traces import Traces

#: Types of which there can be jobs.
KNOWN = frozenset(one.name for one in TYPES)


class LawBrokenError(AssertionError):
    """An invariant does not hold."""


@dataclass(slots=True)
class Book:
    """What the laws remember."""

    granted: dict[LeaseKey, str] = field(default_factory=dict)
    """Every lease that was ever durable, and its worker."""
    completed: dict[str, int] = field(default_factory=dict)
    """Each completed job and the token that completed it."""
    ended: set[LeaseKey] = field(default_factory=set)
    """Leases whose end was written."""
    yielded: set[LeaseKey] = field(default_factory=set)
    """Leases whose jobs yielded."""
    final: set[str] = field(default_factory=set)
    """Jobs that were ever final."""
    manual: Counter[str] = field(default_factory=Counter)
    """Retries that were asked for."""
    left: dict[int, InboxRow] = field(default_factory=dict)
    """What was ever left in the inbox, by number."""
    accepted: dict[str, float] = field(default_factory=dict)
    """Jobs whose submission was answered, and when."""
    ran_out: Counter[str] = field(default_factory=Counter)
    """Attempts without enough memory of a GPU, by job."""
    held: Counter[str] = field(default_factory=Counter)
    """Scopes and workers whose pause or drain was answered and whose end was not asked for."""
    limits: dict[tuple[str, Scope], int] = field(default_factory=dict)
    """Limits in force: under '' of the fleet, under '*' of each host."""


class Laws:
    """Judges a run while it happens."""

    def __init__(self, book: Book, traces: Traces) -> None:
        self.book = book
        self.cards: Cards | None = None
        self.timekeeper = Timekeeper()
        self.promises = Promises()
        self.checks = 0
        self._traces = traces
        traces.on_start = self.attempt_started
        traces.on_ack = self.acknowledged

    # ---- at every commit ----

    def committed(
        self, before: Contents, after: Contents, what: "Sequence[NewRow] | Sequence[TurnEffect]"
    ) -> None:
        """Judge one transaction."""
        both = after.live.keys() & after.done.keys()
        _demand(not both, f"live and done at once: {sorted(both)}")
        gone = (before.live.keys() | before.done.keys()) - (after.live.keys() | after.done.keys())
        _demand(not gone, f"vanished: {sorted(gone)}")
        for one in what:
            match one:
                case GrantLease(job=job):
                    self._leased(job.id, before, after)
                case FinishJob(job=job):
                    self._finished(one, before)
                    for row in one.follow_ups:
                        self._came(row.job, after)
                    for row in one.known:
                        _demand(row.job.id in after.done, f"{row.job.id} was left out and is not done")
                case ChangeJob(job=job):
                    was, held = before.live[job.id].job, after.live[job.id].job
                    same = was.state not in LEASED or was.vram_mib == held.vram_mib
                    _demand(same, f"{job.id} runs and is charged otherwise than before")
                case ReleaseLease(job=job):
                    self.book.ended.add((job.id, one.token))
                    self._went_again(one, after)
                    self._yielded(one, before, after)
                    retries = one.verdict.retry_count - self.book.manual[job.id]
                    _demand(retries <= job.max_retries, f"{job.id} was retried {retries} times")
                case NewRow():
                    self._came(one.job, after)
                    self.timekeeper.came(one, START + asyncio.get_running_loop().time())
                case _:
                    pass
        self._inbox(before, after)
        self._within_limits(before, after)
        self._ledger_is_the_fold(after)

    def _inbox(self, before: Contents, after: Contents) -> None:
        """What goes from the inbox is a job, or one failed job."""
        gone = before.inbox.keys() - after.inbox.keys()
        for number in gone:
            known = self.book.left[number].id in after.live.keys() | after.done.keys()
            _demand(known, f"row {number} of the inbox went, and its job is nowhere")
        unfit = after.done.keys() - before.done.keys() - before.live.keys()
        _demand(len(unfit) <= len(gone), f"{len(gone)} rows of the inbox became {len(unfit)} failed jobs")
        wrong = {one.id for one in self.book.left.values() if one.type not in KNOWN}
        _demand(not wrong & after.live.keys(), "a row of an unknown type lives")

    def _ledger_is_the_fold(self, after: Contents) -> None:
        living = {lease for lease, charge in after.allocations.items() if charge.lingers_since is None}
        jobs = (row.job for row in after.live.values())
        leases = {(job.id, job.token) for job in jobs if job.state in LEASED and held_by(job) is not None}
        _demand(living == leases, f"charged {living - leases}, not charged {leases - living}")
        for device, kept in after.devices.items():
            _demand(kept.bounds.allow(after.allocated(device)), f"{device} is overdrawn")

    def _came(self, job: LiveJob, after: Contents) -> None:
        row = after.live.get(job.id)
        if row is not None and row.job.state in LEASED:
            self._grant(row.job, after)

    def _leased(self, job_id: JobId, before: Contents, after: Contents) -> None:
        earlier, job = before.live[job_id].job, after.live[job_id].job
        _demand(job.token > earlier.token, f"the token of {job_id} did not grow")
        _demand(earlier.cancel_requested_at is None, f"{job_id} was leased although it was cancelled")
        charge = after.allocations.get((job_id, job.token))
        _demand(charge is None or charge.need.vram_mib == job.vram_mib, f"{job_id} is charged with {charge}")
        self._as_its_type_needs(earlier, before)
        self._grant(job, after)

    def _as_its_type_needs(self, job: LiveJob, before: Contents) -> None:
        """A job that never ran has what was decided of its type, once all that wait have it."""
        kept = before.type_changes.get(job.type)
        known = next(one for one in TYPES if one.name == job.type)
        held_back = job.attempt or job.parent_id is not None or self.book.manual[job.id]
        if kept is None or kept.moves_mib or held_back or kept.change.on(known).learns_vram:
            return
        needs_mib = kept.change.on(known).vram_mib
        _demand(job.vram_mib >= needs_mib, f"{job.id} has {job.vram_mib} MiB; its type needs {needs_mib}")

    def _grant(self, job: LiveJob, after: Contents) -> None:
        key = (job.id, job.token)
        _demand(key not in self.book.granted, f"{key} was granted twice")
        self.book.granted[key] = job.worker_id or ""
        self._met(job, after)
        for scope in scopes_of(job.category, job.type):
            _demand(not self.book.held[scope], f"{job.id} was leased while {scope} is paused")
        _demand(not self.book.held[f"worker {job.worker_id}"], f"{job.worker_id} got a lease while drained")

    def _met(self, job: LiveJob, after: Contents) -> None:
        """What *job* needs was final; it may have been retried since, where *job* runs all the same."""
        for needed in job.ties.needs if job.ties is not None else ():
            what = f"{job.id} was leased although it needs {needed}, which"
            _demand(needed in self.book.final, f"{what} was never final")
            if job.ties is not None and job.ties.if_fails is not IfFails.RUN:
                done = after.done.get(needed)
                completed = done is not None and done.state is JobState.COMPLETED
                _demand(completed, f"{what} did not complete")

        for child in job.ties.children if job.ties is not None else ():
            _demand(child in self.book.final, f"{job.id} was leased before its child {child} was final")

    def _yielded(self, release: ReleaseLease, before: Contents, after: Contents) -> None:
        if release.outcome != "yielded":
            return
        job_id, kept = release.job.id, after.live[release.job.id].job.ties
        key = (job_id, release.token)
        _demand(key not in self.book.yielded, f"{key} yielded twice")
        self.book.yielded.add(key)
        _demand(kept is not None and kept.yields <= YIELDS_MAX, f"{job_id} yields for ever")
        retries = before.live[job_id].job.retry_count
        _demand(release.verdict.retry_count == retries, f"{job_id} spent a retry on yielding")
        for child in release.children:
            known = child in after.live or child in after.done
            _demand(known, f"{job_id} yielded to {child}, which is nowhere")
        for row in release.follow_ups:
            _demand(row.job.id not in before.live.keys() | before.done.keys(), f"{row.job.id} came twice")
            self._came(row.job, after)

    def _childless(self, finish: FinishJob, before: Contents) -> None:
        """Judge that no child which a cancelled job caused, and waits for, outlives it."""
        ties = before.live[finish.job.id].job.ties
        for child in ties.children if ties is not None and finish.state is JobState.CANCELLED else ():
            final = child in self.book.final
            _demand(final, f"{finish.job.id} was cancelled while its child {child} lived on")

    def _finished(self, finish: FinishJob, before: Contents) -> None:
        self._childless(finish, before)
        job = before.live[finish.job.id].job
        durable = JobState.QUEUED if job.state is JobState.RUNNING else job.state
        _demand(finish.state in TRANSITIONS[durable], f"{job.id}: {durable.name} to {finish.state.name}")
        self.book.ended.add((job.id, job.token))
        self.book.final.add(job.id)
        if finish.state is JobState.COMPLETED:
            _demand(job.id not in self.book.completed, f"{job.id} was completed twice")
            _demand(job.cancel_requested_at is None, f"{job.id} was completed although it was cancelled")
            self.book.completed[job.id] = job.token

    def _went_again(self, release: ReleaseLease, after: Contents) -> None:
        """Judge that too little memory of a GPU is never given again, and that this has an end."""
        job_id = release.job.id
        had_mib = self._traces.ran_out.get((job_id, release.token))
        if had_mib is None or release.outcome != "failed":
            return
        has_mib = after.live[job_id].job.vram_mib
        _demand(has_mib > had_mib, f"{job_id} ran out of {had_mib} MiB and goes again with {has_mib}")
        self.book.ran_out[job_id] += 1
        if not self.book.manual[job_id]:
            _demand(self.book.ran_out[job_id] <= OUT_OF_VRAM_MAX, f"{job_id} runs out of memory for ever")
            _demand(
                release.verdict.retry_count == 0 or release.job.retry_count > 0,
                f"{job_id} spent a retry on it",
            )

    def _within_limits(self, before: Contents, after: Contents) -> None:
        was, now = before.leased(), after.leased()
        for (host, scope), leases in now.items():
            limit = self.book.limits.get(("*" if host else "", scope))
            if limit is not None and leases > was[host, scope]:
                _demand(leases <= limit, f"{leases} leases of {scope} on {host or 'all hosts'}, not {limit}")

    # ---- what workers see ----

    def attempt_started(self, key: LeaseKey) -> None:
        """A worker begins an attempt."""
        _demand(key in self.book.granted, f"{key} started before its grant was durable")
        _demand(key not in self._traces.started, f"{key} started twice")
        self._traces.started.append(key)

    def acknowledged(self, key: LeaseKey, outcome: str, fate: int) -> None:
        """A worker hears what became of a result."""
        if fate in {RESULT_FATE_COMMITTED, RESULT_FATE_DUPLICATE}:
            _demand(key in self.book.ended, f"{key} was acknowledged before its end was durable")
            if outcome == "completed":
                _demand(
                    self.book.completed.get(key[0]) == key[1], f"{key} was acknowledged and did not complete"
                )

    # ---- at every step ----

    def processes_are_charged(self, contents: Contents) -> None:
        """Judge that nothing is given back that a process may hold."""
        for card in self.cards.all if self.cards is not None else []:
            for key in card.processes:
                _demand(key in contents.allocations, f"{key} holds memory of {card.uuid} and is not charged")

    def stepped(self, engine: Engine, now: float) -> None:
        """Judge the engine's accounts."""
        self.checks += 1
        queue, fleet = engine.queue, engine.fleet
        counted = Counter((job.state, job.type, job.category) for job in queue.jobs.values())
        _demand(counted == queue.counts, "the counts are not those of the jobs")
        collected = Counter((job.collection, job.state) for job in queue.jobs.values() if job.collection)
        kept = {(slug, state): n for slug, by in queue.collections.items() for state, n in by.items() if n}
        _demand(collected == kept, "the collections' counts are not those of their jobs")
        held: set[JobId] = set()
        for worker in fleet.workers.values():
            _demand(held.isdisjoint(worker.leases), "two workers hold one lease")
            held |= worker.leases
            _demand(worker.credit <= max(worker.capability.slots, 0), "more credit than slots")
        running: Counter[tuple[str, Scope]] = Counter()
        for job_id in held:
            job = queue.jobs[job_id]
            _demand(job.state in LEASED, f"{job_id} is on a worker's account as {job.state.name}")
            for scope in scopes_of(job.category, job.type):
                running[job.host or "", scope] += 1
        for key, leases in running.items():
            _demand(fleet.running_on(*key) == leases, f"the account of {key} is not the sum of its leases")
        self._accounts(engine, held, now)
        self._reservations(engine)
        broken = self.promises.broken(engine, now)
        _demand(broken is None, broken or "")
        waiting = sum(len(lane) for lane in queue.lanes.values())
        free = sum(1 for job in queue.jobs.values() if job.state is JobState.PENDING and not job.busy)
        _demand(waiting <= free, "a job waits that is not free to run")

    @staticmethod
    def _accounts(engine: Engine, held: set[JobId], now: float) -> None:
        charged: set[LeaseKey] = set()
        for account in engine.ledger.accounts.values():
            needs = [charge.need for charge in account.charges.values()]
            allocated = (sum(need.vram_mib for need in needs), sum(need.encoder_sessions for need in needs))
            _demand(allocated == account.allocated, f"{account.id} is not the sum of its charges")
            _demand(account.bounds.allow(account.allocated), f"{account.id} is overdrawn")
            free = account.free(now, engine.rules.ledger.fresh_s)
            left_mib = account.bounds.usable_mib - account.allocated.vram_mib
            _demand(free.vram_mib <= left_mib, f"{account.id} has more free than its static account")
            charged |= {lease for lease, charge in account.charges.items() if charge.lingers_since is None}
        jobs = (engine.queue.jobs[job_id] for job_id in held)
        leases = {(job.id, job.token) for job in jobs if held_by(job) is not None}
        _demand(charged == leases, f"charged {charged - leases}, not charged {leases - charged}")

    @staticmethod
    def _reservations(engine: Engine) -> None:
        kept = engine.backfill.reservations.kept
        _demand(len({one.device for one in kept}) == len(kept), "a GPU is reserved twice")
        for one in kept:
            _demand(one.job.state not in LEASED, f"{one.job.id} is leased, and a GPU is still kept for it")
            own = [lease for lease in one.passed if lease[0] == one.job.id]
            _demand(not own, f"{one.job.id} is in its own way")

    # ---- at the end ----

    def rested(self, database: Database, engine: Engine) -> None:
        """Judge the system at rest."""
        contents = database.contents
        _demand(not database.faults, f"a part failed: {database.faults!r}")
        known = contents.live.keys() | contents.done.keys()
        lost = self.book.accepted.keys() - known
        _demand(not lost, f"accepted and lost: {sorted(lost)}")
        _demand(engine.queue.jobs.keys() == contents.live.keys(), "memory and tables differ")
        left = [row.job for row in contents.live.values() if not _held(row.job, contents)]
        _demand(not left, f"never came to an end: {[(job.id, job.state.name, job.type) for job in left]}")
        _demand(
            not any(fleet.leases for fleet in engine.fleet.workers.values()), "a lease is still on an account"
        )
        _demand(not contents.allocations, f"still charged: {sorted(contents.allocations)}")
        _demand(not any(one.charges for one in engine.ledger.accounts.values()), "an account is not at zero")
        _demand(not contents.outputs, f"outputs were never placed: {sorted(contents.outputs)}")
        unmoved = [kept for kept in contents.type_changes.values() if kept.moves_mib]
        _demand(not unmoved, f"jobs never followed a change of their type: {unmoved}")
        self._files(contents)
        self._logs(contents)

    def _files(self, contents: Contents) -> None:
        for job_id, done in contents.done.items():
            key = (job_id, done.row.job.token)
            if done.state is JobState.COMPLETED:
                _demand(key in self._traces.files, f"the output of {key} was removed")
            else:
                _demand(key not in self._traces.files, f"the output of {key} stands, but it did not complete")

    def _logs(self, contents: Contents) -> None:
        sequences: dict[tuple[JobId, int], list[int]] = {}
        for job_id, attempt, sequence in contents.logs:
            sequences.setdefault((job_id, attempt), []).append(sequence)
        for (job_id, attempt), numbers in sequences.items():
            wanted = list(range(1, len(numbers) + 1))
            _demand(sorted(numbers) == wanted, f"the log of {job_id}, attempt {attempt}, has gaps: {numbers}")
        for text, token in self.book.completed.items():
            job_id = JobId(text)
            attempt = contents.done[job_id].row.job.attempt
            kept = "".join(
                contents.logs[job_id, attempt, number]
                for number in sorted(sequences.get((job_id, attempt), []))
            )
            said = self._traces.said.get((job_id, attempt), [])
            words, spoken = kept.split(), " ".join(said).split()
            whole = self.book.granted[job_id, token] not in self._traces.killed
            _demand(
                words == (spoken if whole else spoken[: len(words)]),
                f"the log of {job_id} under {token:x} is not whole: {words} of {spoken}",
            )


def _held(job: LiveJob, contents: Contents) -> bool:
    """Whether *job* is paused, or belongs to one that is, or needs one that is."""
    needs = job.ties.needs if job.ties is not None else ()
    needed = [row.job for row in map(contents.live.get, needs) if row is not None]
    parent = contents.live.get(job.parent_id or JobId(""))
    if parent is not None and _belongs(job, parent.job):
        needed.append(parent.job)
    return job.state is JobState.PAUSED or any(_held(one, contents) for one in needed)


def _belongs(job: LiveJob, parent: LiveJob) -> bool:
    return parent.ties is not None and job.id in parent.ties.children


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise LawBrokenError(what)
