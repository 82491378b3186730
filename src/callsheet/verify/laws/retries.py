"""Law: automatic retries are at most what the job allows, and only failures spend them."""

from collections.abc import Iterator

from callsheet.verify.history import History
from callsheet.verify.laws.finding import Finding, law


@law("retries")
def retries(history: History) -> Iterator[Finding]:
    """Automatic retries are at most what the job allows, and only failures spend them."""
    for story in history.jobs.values():
        row = story.row
        if row is None or not history.has_calls:
            continue
        manual = len(story.asked_for("retry", "ok", "unknown"))
        if row.retry_count > row.max_retries + manual:
            yield Finding(
                job=story.id,
                sentence=f"was retried {row.retry_count} times; "
                f"allowed: {row.max_retries} and {manual} by hand",
                events=(row,),
            )
        failed = [attempt for attempt in story.attempts if attempt.outcome == "failed"]
        if row.retry_count > len(failed) + manual:
            yield Finding(
                job=story.id,
                sentence=f"spent {row.retry_count} retries on {len(failed)} failures and {manual} calls",
                events=(row, *story.attempts),
            )
