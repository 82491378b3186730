"""Says in words why a job waits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from callsheet_scheduler.domain.account import Account
from callsheet_scheduler.domain.device import Need, need_of
from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import WRITES, Worker
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.limits import ALL, Scope, scopes_of
from callsheet_scheduler.domain.placing import takes_without_card
from callsheet_scheduler.domain.reservations import Reservation

HALF_A_DAY_S: Final = 12 * 3600.0


def waiting_reason(engine: Engine, job: LiveJob, now: float) -> str:
    """Return why *job* cannot start now; empty where it is about to, or does not wait."""
    paused = _paused(engine, job)
    if paused or job.state is not JobState.PENDING:
        return paused
    if job.ready_at > now:
        return _instant(job)
    if job.ties is not None and job.ties.open:
        count = len(job.ties.open)
        return f"Waiting for {count} job{'s' if count > 1 else ''}"
    return "The database cannot take more at present" if engine.halted else _shortfall(engine, job, now)


def _paused(engine: Engine, job: LiveJob) -> str:
    """Return what is paused that *job* waits for; empty for nothing."""
    if job.state is not JobState.PENDING:
        return "Paused: this job" if job.state is JobState.PAUSED else ""
    pause = engine.pauses.hold(job)
    if pause is not None:
        return f"Paused: {_named(pause.scope)}"
    holder = engine.queue.holder(job)
    return "" if holder is None else f"Paused: the job {holder.id}, to which it belongs"


def _instant(job: LiveJob) -> str:
    at = datetime.fromtimestamp(job.ready_at, UTC).strftime("%H:%M:%S")
    if job.retry_after is not None and job.retry_after >= job.ready_at:
        return f"Retry {job.retry_count} of {job.max_retries} at {at} UTC"
    return f"Scheduled for {at} UTC"


def queue_position(engine: Engine, job: LiveJob, now: float) -> int:
    """Return the place of *job* in its lane, from 1; 0 where it does not wait for its turn."""
    if job.state is not JobState.PENDING or job.ready_at > now or job.busy or job.needs_others:
        return 0
    if engine.queue.holder(job) is not None:
        return 0
    return engine.queue.lanes[job.category].position(job)


def _shortfall(engine: Engine, job: LiveJob, now: float) -> str:
    """Return what is missing for a job whose turn it could be."""
    fleet = engine.fleet
    scopes = scopes_of(job.category, job.type)
    full = fleet.full_scope(scopes)
    if full is not None:
        return f"The limit of {fleet.limits.fleet[full]} {_counted(full)} in the whole fleet is reached"
    workers = fleet.handling(job.type)
    reaching = [worker for worker in workers if worker.capability.reaches(job.root)]
    if reaching:
        hosts = sorted({worker.capability.host for worker in reaching})
        scope = _full_everywhere(engine, hosts, scopes)
        if scope is not None:
            limit = fleet.limits.host[scope]
            return f"The limit of {limit} {_counted(scope)} per host is reached on {', '.join(hosts)}"
        able = [worker for worker in reaching if fleet.full_scope_on(worker.capability.host, scopes) is None]
        return _without_slot(job, reaching) or _without_gpu(engine, job, able, now)
    if workers:
        read, _, written = (job.root or "").partition(WRITES)
        lacking = [f"reaches root {read}"] * bool(read) + [f"writes to root {written}"] * bool(written)
        return f"No connected worker {' and '.join(lacking)}"
    return f"No connected worker handles {job.type}"


def _without_slot(job: LiveJob, workers: Sequence[Worker]) -> str:
    taking = [worker for worker in workers if not worker.draining and not worker.leaving]
    if not taking:
        return f"Every worker that handles {job.type} is drained"
    if all(worker.credit <= 0 for worker in taking):
        slots = sum(worker.capability.slots for worker in taking)
        return f"All {slots} {job.category.name.lower()} slots are busy"
    return ""


def _without_gpu(engine: Engine, job: LiveJob, workers: Sequence[Worker], now: float) -> str:
    """Return what no GPU has for *job*; empty where one has it, or a worker does without."""
    need = need_of(job.category, job.vram_mib)
    if need is None:
        return ""
    workers = [worker for worker in workers if worker.credit > 0 and not worker.draining]
    if any(takes_without_card(worker) for worker in workers):
        return ""
    accounts = {
        account.id: account for worker in workers for account in engine.ledger.named_by(worker.capability.id)
    }
    if not accounts:
        return f"No connected worker that handles {job.type} has a GPU"
    usable = [account for account in accounts.values() if account.is_usable()]
    if not usable:
        return "; ".join(f"{one.place} cannot be used: {one.problem()}" for one in accounts.values())
    largest_mib = max(account.whole().vram_mib for account in usable)
    if need.vram_mib > largest_mib:
        return f"Needs {need.vram_mib} MB; the largest GPU has {largest_mib} MB"
    return _without_room(engine, need, usable, now) or _held_up(engine, job, workers, need, now)


def _held_up(engine: Engine, job: LiveJob, workers: Sequence[Worker], need: Need, now: float) -> str:
    """Return for whom the GPUs are kept on which there is room for *job*; empty where one is not kept."""
    bars = engine.backfill.reservations.bars(job, now)
    if bars is None:
        return ""
    by: object = None
    for worker in workers:
        for account in engine.ledger.reached_by(worker.capability.id):
            if _has_room(account.free(now, engine.ledger.rules.fresh_s), need):
                by = bars(worker, account.id)
                if by is None:
                    return ""
    if not isinstance(by, Reservation):
        return ""
    place = engine.ledger.accounts[by.device].place
    return f"{place} is kept for a more urgent job, from about {minute(max(by.at, by.expected.at), now)} on"


def minute(instant: float, now: float) -> str:
    """Return an instant to come, to the minute; with its date where it is not soon."""
    form = "%H:%M UTC" if instant - now < HALF_A_DAY_S else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(instant, UTC).strftime(form)


def _has_room(free: Need, need: Need) -> bool:
    return free.vram_mib >= need.vram_mib and free.encoder_sessions >= need.encoder_sessions


def _without_room(engine: Engine, need: Need, accounts: Sequence[Account], now: float) -> str:
    free = {account: account.free(now, engine.ledger.rules.fresh_s) for account in accounts}
    if any(_has_room(one, need) for one in free.values()):
        return ""
    most = max(accounts, key=lambda account: free[account].vram_mib)
    if free[most].vram_mib < need.vram_mib:
        return f"Needs {need.vram_mib} MB; most free is {free[most].vram_mib} MB on {most.place}"
    sessions = most.whole().encoder_sessions
    taken = f"all {sessions} of {most.place} are taken" if sessions else f"{most.place} has none"
    return f"Needs an encoder session; {taken}"


def _full_everywhere(engine: Engine, hosts: Sequence[str], scopes: Sequence[Scope]) -> Scope | None:
    """Return the scope that is full on the first host, if some scope is full on every one."""
    full = [engine.fleet.full_scope_on(host, scopes) for host in hosts]
    return None if None in full else full[0]


def _named(scope: Scope) -> str:
    return "everything" if scope == ALL else scope


def _counted(scope: Scope) -> str:
    return "jobs" if scope == ALL else f"{scope} jobs"
