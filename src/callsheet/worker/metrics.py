"""The figures that a worker shows on its /metrics."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from callsheet.worker.session import Session


class SessionCollector(Collector):
    """Reads a session whenever the figures are asked for."""

    def __init__(self, session: Session, *, slots: int) -> None:
        self._session = session
        self._slots = slots

    @override
    def collect(self) -> Iterable[Metric]:
        yield _gauge("slots", "Jobs that this worker can run at once.", self._slots)
        yield _gauge("attempts_running", "Attempts under way.", self._session.running)
        yield _gauge(
            "results_undelivered",
            "Results that the scheduler has not acknowledged.",
            self._session.undelivered,
        )
        yield _gauge("connected", "1 while the scheduler has welcomed this worker.", self._session.connected)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"callsheet_worker_{name}", meaning, value=float(value))
