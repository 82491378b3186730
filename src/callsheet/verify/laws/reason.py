"""Law: a job fails for a reason: a worker reported one that ends it, or its leases were lost too often."""

from collections.abc import Iterator

from callsheet.verify.history import History, Story
from callsheet.verify.laws.facts import LOST_MAX
from callsheet.verify.laws.finding import Finding, law


@law("reason")
def reason(history: History) -> Iterator[Finding]:
    """A job fails for a reason: a worker reported one that ends it, or its leases were lost too often."""
    for story in history.jobs.values():
        row = story.row
        if row is None or row.state != "failed":
            continue
        if row.lost_count >= LOST_MAX and not _losses_happened(story):
            yield Finding(
                job=story.id,
                sentence=f"failed after {row.lost_count} lost leases, and its attempts ended otherwise",
                events=(row, *story.attempts),
            )
        if row.lost_count >= LOST_MAX or not history.workers:
            continue
        result = story.result(row.token)
        if result is None or result.outcome == "returned":
            yield Finding(
                job=story.id,
                sentence="failed, and no worker reported a failure",
                events=(row, *story.results),
            )
        elif result.kind in {"transient", "bug"} and row.retry_count < row.max_retries:
            yield Finding(
                job=story.id,
                sentence=f"failed with {row.max_retries - row.retry_count} retries left",
                events=(row, result),
            )


def _losses_happened(story: Story) -> bool:
    """Whether the attempts before the last were lost; handed-back leases in between do not count."""
    lost = 1
    for attempt in reversed(story.attempts):
        if attempt.outcome == "expired":
            lost += 1
        elif attempt.outcome != "returned":
            break
    return lost >= LOST_MAX
