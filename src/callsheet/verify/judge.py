"""Judges a history by every law and says what it found."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from callsheet.verify.events import AnyEvent
from callsheet.verify.history import History
from callsheet.verify.laws.acknowledged import acknowledged
from callsheet.verify.laws.all_or_none import all_or_none
from callsheet.verify.laws.as_asked import as_asked
from callsheet.verify.laws.asked_for import asked_for
from callsheet.verify.laws.at_rest import at_rest
from callsheet.verify.laws.cancelled import cancelled
from callsheet.verify.laws.counters import counters
from callsheet.verify.laws.counts import counts
from callsheet.verify.laws.drained import drained
from callsheet.verify.laws.durable_first import durable_first
from callsheet.verify.laws.finding import Finding, Law
from callsheet.verify.laws.follow_ups import follow_ups
from callsheet.verify.laws.legal_steps import legal_steps
from callsheet.verify.laws.limits import limits
from callsheet.verify.laws.log import log
from callsheet.verify.laws.one_completion import one_completion
from callsheet.verify.laws.one_holder import one_holder
from callsheet.verify.laws.one_place import one_place
from callsheet.verify.laws.one_start import one_start
from callsheet.verify.laws.outputs import outputs
from callsheet.verify.laws.paused import paused
from callsheet.verify.laws.progress import progress
from callsheet.verify.laws.reason import reason
from callsheet.verify.laws.rescue import rescue
from callsheet.verify.laws.retries import retries
from callsheet.verify.laws.stale_changes_nothing import stale_changes_nothing
from callsheet.verify.laws.terms import terms
from callsheet.verify.laws.tokens_rise import tokens_rise
from callsheet.verify.laws.told import told
from callsheet.verify.laws.urgency import urgency

LAWS: Final[tuple[Law, ...]] = (
    acknowledged,
    one_place,
    asked_for,
    all_or_none,
    as_asked,
    follow_ups,
    told,
    cancelled,
    at_rest,
    durable_first,
    one_holder,
    one_start,
    tokens_rise,
    one_completion,
    stale_changes_nothing,
    outputs,
    terms,
    legal_steps,
    retries,
    counts,
    reason,
    rescue,
    limits,
    paused,
    drained,
    urgency,
    progress,
    log,
    counters,
)
"""Every law there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of judging a history."""

    events: int
    jobs: int
    calls: Counter[str]
    """By outcome."""
    states: Counter[str]
    """Jobs by the state of their row."""
    faults: Counter[str]
    """By kind."""
    has_tables: bool
    broken: tuple[tuple[Law, tuple[Finding, ...]], ...]

    @property
    def holds(self) -> bool:
        """Whether every law held."""
        return not self.broken


def judge(history: History) -> Verdict:
    """Return the verdict on *history*."""
    judged = [(law, tuple(law.judge(history))) for law in LAWS]
    return Verdict(
        events=len(history.events),
        jobs=len(history.jobs),
        calls=Counter(call.outcome for call in history.calls.values()),
        states=Counter(row.state for row in history.rows),
        faults=Counter(fault.kind for fault in history.faults),
        has_tables=history.tables is not None,
        broken=tuple((law, findings) for law, findings in judged if findings),
    )


def as_text(verdict: Verdict, *, findings_max: int = 5) -> list[str]:
    """Return the verdict in lines for a person; of each law the first *findings_max* findings."""
    lines = [
        f"{verdict.events:,} events, {verdict.jobs:,} jobs ({_sums(verdict.states)})",
        f"calls: {_sums(verdict.calls)}",
        f"faults: {_sums(verdict.faults)}",
    ]
    if not verdict.has_tables:
        lines.append("The history has no tables: laws that need them were not judged.")
    if verdict.holds:
        return [*lines, f"All {len(LAWS)} laws hold."]
    for law, findings in verdict.broken:
        lines += ["", f"BROKEN: {law.name}: {law.sentence}"]
        for finding in findings[:findings_max]:
            lines.append(f"  {finding.job or 'the books'} {finding.sentence}")
            lines += [f"    {_line(event)}" for event in finding.events]
        if len(findings) > findings_max:
            lines.append(f"  and {len(findings) - findings_max:,} more")
    broken = len(verdict.broken)
    return [*lines, "", f"{broken} of {len(LAWS)} laws {'is' if broken == 1 else 'are'} broken."]


def as_document(verdict: Verdict) -> dict[str, JsonValue]:
    """Return the verdict as a JSON object."""
    return {
        "holds": verdict.holds,
        "events": verdict.events,
        "jobs": verdict.jobs,
        "states": dict(verdict.states),
        "calls": dict(verdict.calls),
        "faults": dict(verdict.faults),
        "laws": len(LAWS),
        "broken": [
            {
                "law": law.name,
                "sentence": law.sentence,
                "findings": [
                    {
                        "job": finding.job or None,
                        "sentence": finding.sentence,
                        "events": [event.model_dump(mode="json") for event in finding.events],
                    }
                    for finding in findings
                ],
            }
            for law, findings in verdict.broken
        ],
    }


def _sums(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counter.items())) or "none"


def _line(event: AnyEvent) -> str:
    facts = event.model_dump(mode="json", exclude={"at", "utc", "by", "machine"}, exclude_defaults=True)
    told = " ".join(f"{name}={value}" for name, value in facts.items() if value not in (None, [], ""))
    return f"{event.at:.3f} {event.by}: {event.what} {told}"
