"""Says in words why a job waits."""

from collections.abc import Sequence
from datetime import UTC, datetime

from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.fleet import Worker
from callsheet_scheduler.domain.job import JobState, LiveJob
from callsheet_scheduler.domain.limits import ALL, Scope, scopes_of


def waiting_reason(engine: Engine, job: LiveJob, now: float) -> str:
    """Return why *job* cannot start now; empty where it is about to, or does not wait."""
    if job.state is JobState.PAUSED:
        return "Paused: this job"
    if job.state is not JobState.PENDING:
        return ""
    pause = engine.pauses.hold(job)
    if pause is not None:
        return f"Paused: {_named(pause.scope)}"
    if job.ready_at > now:
        return _instant(job)
    return "The database cannot take more at present" if engine.halted else _shortfall(engine, job)


def _instant(job: LiveJob) -> str:
    at = datetime.fromtimestamp(job.ready_at, UTC).strftime("%H:%M:%S")
    if job.retry_after is not None and job.retry_after >= job.ready_at:
        return f"Retry {job.retry_count} of {job.max_retries} at {at} UTC"
    return f"Scheduled for {at} UTC"


def queue_position(engine: Engine, job: LiveJob, now: float) -> int:
    """Return the place of *job* in its lane, from 1; 0 where it does not wait for its turn."""
    if job.state is not JobState.PENDING or job.ready_at > now or job.busy:
        return 0
    return engine.queue.lanes[job.category].position(job)


def _shortfall(engine: Engine, job: LiveJob) -> str:
    """Return what is missing for a job whose turn it could be."""
    fleet = engine.fleet
    scopes = scopes_of(job.category, job.type)
    full = fleet.full_scope(scopes)
    if full is not None:
        return f"The limit of {fleet.limits.fleet[full]} {_counted(full)} in the whole fleet is reached"
    workers = fleet.handling(job.type)
    reaching = [worker for worker in workers if job.root is None or job.root in worker.capability.roots]
    if reaching:
        hosts = sorted({worker.capability.host for worker in reaching})
        scope = _full_everywhere(engine, hosts, scopes)
        if scope is not None:
            limit = fleet.limits.host[scope]
            return f"The limit of {limit} {_counted(scope)} per host is reached on {', '.join(hosts)}"
        return _without_slot(job, reaching)
    if workers:
        return f"No connected worker reaches root {job.root}"
    return f"No connected worker handles {job.type}"


def _without_slot(job: LiveJob, workers: Sequence[Worker]) -> str:
    taking = [worker for worker in workers if not worker.draining and not worker.leaving]
    if not taking:
        return f"Every worker that handles {job.type} is drained"
    if all(worker.credit <= 0 for worker in taking):
        slots = sum(worker.capability.slots for worker in taking)
        return f"All {slots} {job.category.name.lower()} slots are busy"
    return ""


def _full_everywhere(engine: Engine, hosts: Sequence[str], scopes: Sequence[Scope]) -> Scope | None:
    """Return the scope that is full on the first host, if some scope is full on every one."""
    full = [engine.fleet.full_scope_on(host, scopes) for host in hosts]
    return None if None in full else full[0]


def _named(scope: Scope) -> str:
    return "everything" if scope == ALL else scope


def _counted(scope: Scope) -> str:
    return "jobs" if scope == ALL else f"{scope} jobs"
