"""Says in words why a job waits."""

from datetime import UTC, datetime

from callsheet_scheduler.domain.engine import Engine
from callsheet_scheduler.domain.job import JobState, LiveJob


def waiting_reason(engine: Engine, job: LiveJob, now: float) -> str:
    """Return why *job* cannot start now; empty where it is about to, or does not wait."""
    if job.state is JobState.PAUSED:
        return "Paused: this job"
    if job.state is not JobState.PENDING:
        return ""
    if job.ready_at > now:
        at = datetime.fromtimestamp(job.ready_at, UTC).strftime("%H:%M:%S")
        if job.retry_after is not None and job.retry_after >= job.ready_at:
            return f"Retry {job.retry_count} of {job.max_retries} at {at} UTC"
        return f"Scheduled for {at} UTC"
    return _shortfall(engine, job)


def queue_position(engine: Engine, job: LiveJob, now: float) -> int:
    """Return the place of *job* in its lane, from 1; 0 where it does not wait for its turn."""
    if job.state is not JobState.PENDING or job.ready_at > now or job.busy:
        return 0
    return engine.queue.lanes[job.category].position(job)


def _shortfall(engine: Engine, job: LiveJob) -> str:
    """Return what is missing for a job whose turn it could be."""
    category = job.category.name.lower()
    workers = engine.fleet.handling(job.type)
    if not workers:
        return f"No connected worker handles {job.type}"
    limit = engine.rules.host_limits[job.category]
    hosts = {worker.capability.host for worker in workers}
    if all(engine.fleet.running_on(host, job.category) >= limit for host in hosts):
        return f"The limit of {limit} {category} jobs per host is reached on {', '.join(sorted(hosts))}"
    if all(worker.credit <= 0 for worker in workers):
        slots = sum(worker.capability.slots for worker in workers)
        return f"All {slots} {category} slots are busy"
    return ""
