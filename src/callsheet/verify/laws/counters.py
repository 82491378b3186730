"""Law: the counters equal the rows: jobs in each final state, by type and category."""

from collections import Counter
from collections.abc import Iterator

from callsheet.verify.events import CounterRow
from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("counters")
def counters(history: History) -> Iterator[Finding]:
    """The counters equal the rows: jobs in each final state, by type and category."""
    if history.tables is None:
        return
    rows: Counter[tuple[str, str, str]] = Counter()
    for row in history.rows:
        if row.what == "done":
            rows[row.state, row.type, row.category] += 1
            rows["pending", row.type, row.category] += 1
    counted: Counter[tuple[str, str, str]] = Counter()
    noted: dict[tuple[str, str, str], list[CounterRow]] = {}
    for one in history.counters:
        key: tuple[str, str, str] = (one.state, one.type, one.category)
        counted[key] += -one.jobs if one.before else one.jobs
        noted.setdefault(key, []).append(one)
    for key in sorted({*rows, *counted}):
        if rows[key] != counted[key]:
            state, job_type, category = key
            what = "finished" if state == "pending" else state
            yield Finding(
                sentence=f"the counter of {what} {job_type} jobs in {category} is {counted[key]}, "
                f"and there are {rows[key]} rows",
                events=tuple(noted.get(key, ())),
            )
