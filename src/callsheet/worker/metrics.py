"""The figures that a worker shows on its /metrics."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet.worker.session import Session


class SessionCollector(Collector):
    """Reads a session whenever the figures are asked for."""

    def __init__(self, session: Session, *, worker_id: str, slots: int) -> None:
        self._session = session
        self._worker_id = worker_id
        self._slots = slots

    @override
    def collect(self) -> Iterable[Metric]:
        session = self._session
        yield self._gauge("slots", "Jobs that a worker can run at once.", self._slots)
        yield self._gauge("attempts_running", "Attempts under way.", session.running)
        yield self._gauge("results_undelivered", "Results not acknowledged.", session.undelivered)
        yield self._gauge("connected", "1 while the scheduler has welcomed the worker.", session.connected)

    def describe(self) -> Iterable[Metric]:
        """Declare nothing beforehand, so that one process may hold several workers."""
        return ()

    def _gauge(self, name: str, meaning: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"callsheet_worker_{name}", meaning, labels=["worker"])
        family.add_metric([self._worker_id], float(value))
        return family
