"""Law: a job completes once: one completion is committed at most, and the row bears its token."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("one completion")
def one_completion(history: History) -> Iterator[Finding]:
    """A job completes once: one completion is committed at most, and the row bears its token."""
    for story in history.jobs.values():
        completed = {result.token for result in story.results if result.outcome == "completed"}
        committed = {fate.token: fate for fate in story.fates if fate.fate in {"committed", "duplicate"}}
        effective = {token: fate for token, fate in committed.items() if token in completed}
        if len(effective) > 1:
            yield Finding(job=story.id, sentence="was completed twice", events=tuple(effective.values()))
        row = story.row
        for token, fate in effective.items():
            if history.tables and (row is None or row.state != "completed" or row.token != token):
                is_now = "gone" if row is None else f"{row.state} under {row.token}"
                yield Finding(
                    job=story.id,
                    sentence=f"was completed under {token} and is {is_now}",
                    events=(fate, *story.rows),
                )
