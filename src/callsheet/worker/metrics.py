"""The figures that a worker shows on its /metrics."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet.v1.lease_service_pb2 import Hello
from callsheet.worker.stream.session import Session


class SessionCollector(Collector):
    """Reads a session whenever the figures are asked for."""

    def __init__(self, session: Session, hello: Hello) -> None:
        """Read *session*, of the worker that says *hello*."""
        self._session = session
        self._hello = hello

    @override
    def collect(self) -> Iterable[Metric]:
        session = self._session
        yield self._of(
            GaugeMetricFamily(
                "callsheet_worker_slots", "Jobs that a worker can run at once.", labels=["worker"]
            ),
            self._hello.slots,
        )
        yield self._of(
            GaugeMetricFamily("callsheet_worker_attempts_running", "Attempts under way.", labels=["worker"]),
            session.running,
        )
        yield self._of(
            GaugeMetricFamily(
                "callsheet_worker_results_undelivered", "Results not acknowledged.", labels=["worker"]
            ),
            session.undelivered,
        )
        yield self._of(
            GaugeMetricFamily(
                "callsheet_worker_connected",
                "1 while the scheduler has welcomed the worker.",
                labels=["worker"],
            ),
            session.connected,
        )
        yield self._sandbox()

    def describe(self) -> Iterable[Metric]:
        """Declare nothing beforehand, so that one process may hold several workers."""
        return ()

    def _of(self, family: GaugeMetricFamily, value: float) -> Metric:
        family.add_metric([self._hello.worker_id], float(value))
        return family

    def _sandbox(self) -> Metric:
        family = GaugeMetricFamily(
            "callsheet_worker_sandbox",
            "1 for a protection in force for the children of a worker, 0 for one they go without.",
            labels=["worker", "layer"],
        )
        for words, value in ((self._hello.sandbox, 1.0), (self._hello.sandbox_lacks, 0.0)):
            for word in words:
                family.add_metric([self._hello.worker_id, word.rstrip("0123456789 ")], value)
        return family
