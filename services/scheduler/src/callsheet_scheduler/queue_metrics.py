"""The scheduler's Prometheus metrics that are read from the leader's memory when they are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet.catalog import Category
from callsheet_scheduler.commits import Commits
from callsheet_scheduler.domain.figures import DeviceFigures, Figures, figures_of
from callsheet_scheduler.domain.immich import Servers
from callsheet_scheduler.leadership import Leadership

_DEVICE: Final = ("device", "host", "index")


class QueueMetrics(Collector):
    """Who leads; and from the leader, the queue, the workers and the GPUs."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    @override
    def collect(self) -> Iterator[Metric]:
        leads = self._leadership.leads
        yield GaugeMetricFamily(
            "callsheet_scheduler_leads", "1 where this scheduler leads, 0 where it stands by.", value=leads
        )
        if not leads:
            return
        term = self._leadership.current()
        yield GaugeMetricFamily("callsheet_leader_term", "Number of the leadership.", value=term.number)
        figures = figures_of(term.engine, term.commits.now())
        yield from _queue(figures)
        yield from _fleet(figures)
        yield from _devices(figures.devices)
        yield _lanes(term.commits)
        yield _immich(term.immich, term.commits.now())


def export_metrics(leadership: Leadership) -> None:
    """Serve the metrics from this process."""
    REGISTRY.register(QueueMetrics(leadership))


def _queue(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily("media_jobs_pending", "Jobs that are pending.", value=figures.pending)
    yield _by_category(
        GaugeMetricFamily("media_jobs_running", "Jobs that a worker holds.", labels=["resourceCategory"]),
        figures.running,
    )
    waiting = GaugeMetricFamily(
        "callsheet_jobs_waiting",
        "Jobs that no worker holds, by what they wait for: paused (until somebody resumes them), not_yet (an "
        "instant or other jobs), nobody (no connected worker takes them), never_fits (more memory than the "
        "largest GPU has), turn (a slot, or room on a GPU).",
        labels=["category", "why"],
    )
    for (category, why), jobs in figures.waiting.items():
        waiting.add_metric([category.name.lower(), why.value], jobs)
    yield waiting
    yield _by_category(
        GaugeMetricFamily(
            "callsheet_longest_wait_seconds",
            "For how long the job next in a lane could have run, the longest; what is paused is left out.",
            labels=["category"],
        ),
        figures.longest_wait_s,
    )
    yield _by_category(
        GaugeMetricFamily(
            "callsheet_longest_run_seconds", "Age of the oldest attempt under way.", labels=["category"]
        ),
        figures.longest_run_s,
    )


def _fleet(figures: Figures) -> Iterator[Metric]:
    workers = GaugeMetricFamily(
        "callsheet_workers",
        "Workers: working, draining (takes no leases), silent (not heard for longer than a lease lasts).",
        labels=["post"],
    )
    for post, count in figures.workers.items():
        workers.add_metric([post.value], count)
    yield workers
    slots = GaugeMetricFamily("callsheet_slots", "Slots of connected workers.", labels=["workers"])
    leased = GaugeMetricFamily("callsheet_slots_leased", "Slots that hold a lease.", labels=["workers"])
    for kind, both in figures.slots.items():
        slots.add_metric([kind], both.all)
        leased.add_metric([kind], both.leased)
    yield slots
    yield leased
    yield GaugeMetricFamily(
        "callsheet_lease_silence_seconds",
        "Seconds since the leader heard from the worker with leases that is silent for the longest.",
        value=figures.silence_s,
    )


def _devices(devices: Sequence[DeviceFigures]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "media_vram_used_mb",
        "Memory of GPUs that is charged to jobs.",
        value=sum(one.allocated_mib for one in devices),
    )
    yield _by_device(
        GaugeMetricFamily("callsheet_device_capacity_mib", "Memory of a GPU.", labels=_DEVICE),
        {one: one.capacity_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily("callsheet_device_allocated_mib", "Charged to leases.", labels=_DEVICE),
        {one: one.allocated_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily(
            "callsheet_device_lingering_mib",
            "Of what is charged: to leases that ended without proof that their processes did.",
            labels=_DEVICE,
        ),
        {one: one.lingering_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily(
            "callsheet_device_observed_mib", "What programs of leases are seen to hold.", labels=_DEVICE
        ),
        {one: one.observed_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily("callsheet_device_foreign_mib", "What other programs hold.", labels=_DEVICE),
        {one: one.foreign_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily("callsheet_device_free_mib", "What can be given to jobs now.", labels=_DEVICE),
        {one: one.free_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily(
            "callsheet_device_drift_mib",
            "How much more its leases hold than they are charged with.",
            labels=_DEVICE,
        ),
        {one: one.drift_mib for one in devices},
    )
    yield _by_device(
        GaugeMetricFamily(
            "callsheet_device_usable", "1 for a GPU that some worker can use, and fully.", labels=_DEVICE
        ),
        {one: one.usable for one in devices},
    )


def _by_device(family: GaugeMetricFamily, values: Mapping[DeviceFigures, float]) -> Metric:
    for one, value in values.items():
        family.add_metric([one.id, one.host, str(one.index)], value)
    return family


def _lanes(commits: Commits) -> Metric:
    waiting = GaugeMetricFamily(
        "callsheet_commit_waiting", "What waits to ride a transaction, by lane.", labels=["lane"]
    )
    for lane, count in commits.waiting_by_lane().items():
        waiting.add_metric([lane], count)
    return waiting


def _immich(servers: Servers, now: float) -> Metric:
    reached = GaugeMetricFamily(
        "callsheet_immich_server_reached",
        "1 while the controller of an Immich server reports that it reaches it.",
        labels=["server"],
    )
    for name in servers.names(now):
        report = servers.reports.get(name)
        reached.add_metric([name], report is not None and not report.error and not report.silent(now))
    return reached


def _by_category(family: GaugeMetricFamily, values: Mapping[Category, float]) -> Metric:
    for category, value in values.items():
        family.add_metric([category.name.lower()], value)
    return family
