"""Law: no host ever runs more jobs of a category than its limit, across failover too."""

from collections import defaultdict
from collections.abc import Iterator

from callsheet.verify.events import Granted, ResultSent
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("limits")
def limits(history: History) -> Iterator[Finding]:
    """No host ever runs more jobs of a category than its limit, across failover too.

    A lease counts from when its worker heard of it until the worker sent its result; that is less than
    it is charged for. Leases whose result did not count are left out, since their end is not known here.
    """
    spans: defaultdict[tuple[str, str], list[tuple[float, int, Granted]]] = defaultdict(list)
    for story in history.jobs.values():
        row = story.row
        stood = {fate.token for fate in story.fates if fate.fate in {"committed", "duplicate"}}
        for granted in story.granted:
            worker = history.workers.get(granted.worker)
            result = story.result(granted.token)
            if row is None or worker is None or result is None or granted.token not in stood:
                continue
            if _is_counted(granted, result):
                key = (worker.host, row.category)
                spans[key] += [(granted.at, 1, granted), (result.at, -1, granted)]
    for (host, category), edges in spans.items():
        limit = history.begin.host_limits.get(category)
        if limit is not None:
            yield from _over(host, category, limit, edges)


def _is_counted(granted: Granted, result: ResultSent) -> bool:
    return granted.machine == result.machine and granted.worker == result.worker and granted.at < result.at


def _over(host: str, category: str, limit: int, edges: list[tuple[float, int, Granted]]) -> Iterator[Finding]:
    """Yield the first instant at which more than *limit* ran at once."""
    running: dict[tuple[str, int], Granted] = {}
    for _, step, granted in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        key = (granted.job, granted.token)
        if step < 0:
            running.pop(key, None)
            continue
        running[key] = granted
        if len(running) > limit:
            yield Finding(
                job=granted.job,
                sentence=f"is one of {len(running)} {category} jobs at once on {host}; the limit is {limit}",
                events=tuple(running.values()),
            )
            return
