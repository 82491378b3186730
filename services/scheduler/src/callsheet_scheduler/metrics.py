"""The scheduler's Prometheus metrics, read from the leader's memory when they are asked for."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet_scheduler.domain.job import JobState
from callsheet_scheduler.leadership import Leadership

HISTORY_FAILURES: Final = Counter(
    "callsheet_history_failures", "Rounds that failed in which days of history are made and dropped."
)

INBOX_ROWS: Final = Counter(
    "callsheet_inbox_rows",
    "Rows taken out of the inbox, by what they became: job, known, failed.",
    ["became"],
)


class QueueMetrics(Collector):
    """Who leads; and from the leader, counts of live jobs and of workers."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    @override
    def collect(self) -> Iterator[Metric]:
        leads = self._leadership.leads
        yield GaugeMetricFamily(
            "callsheet_scheduler_leads", "1 where this scheduler leads, 0 where it stands by", value=leads
        )
        if not leads:
            return
        term = self._leadership.current()
        pending = GaugeMetricFamily("media_jobs_pending", "Jobs that wait", labels=["type"])
        running = GaugeMetricFamily(
            "media_jobs_running",
            "Jobs that a worker holds",
            labels=["resourceCategory"],
        )
        waiting: dict[str, int] = {}
        leased: dict[str, int] = {}
        for (state, job_type, category), jobs in term.engine.queue.counts.items():
            if state is JobState.PENDING:
                waiting[job_type] = waiting.get(job_type, 0) + jobs
            elif state in {JobState.QUEUED, JobState.RUNNING}:
                name = category.name.lower()
                leased[name] = leased.get(name, 0) + jobs
        for name, jobs in sorted(waiting.items()):
            pending.add_metric([name], jobs)
        for name, jobs in sorted(leased.items()):
            running.add_metric([name], jobs)
        workers = [worker for worker in term.engine.fleet.workers.values() if worker.session is not None]
        yield pending
        yield running
        yield GaugeMetricFamily("callsheet_workers_connected", "Open worker streams", value=len(workers))
        yield GaugeMetricFamily("callsheet_leader_term", "Number of the leadership", value=term.number)


def export_metrics(leadership: Leadership) -> None:
    """Serve the metrics from this process."""
    REGISTRY.register(QueueMetrics(leadership))
