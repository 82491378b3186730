"""Jobs as rows and facts for people."""

import json
from datetime import datetime
from typing import Final

from rich.text import Text

from callsheet.cli.choices import category_text, job_state_text
from callsheet.cli.documents import embedded
from callsheet.cli.humane import ago_text, duration_text
from callsheet.cli.instants import instant, rfc3339, seconds_between
from callsheet.cli.output import state_cell
from callsheet.v1.job_pb2 import Job, JobAttempt, JobState, StopRung

COLUMNS: Final = ("ID", "TYPE", "STATE", "DONE>", "PRIORITY>", "CREATED", "RAN>", "NOTE")

#: Characters of a reason in a table.
NOTE_MAX: Final = 120

#: What it took to end a cancelled job.
_RUNGS: Final = {
    StopRung.STOP_RUNG_BEFORE_START: "cancelling before it began",
    StopRung.STOP_RUNG_ASKED: "asking",
    StopRung.STOP_RUNG_TERMINATED: "SIGTERM",
    StopRung.STOP_RUNG_KILLED: "SIGKILL",
    StopRung.STOP_RUNG_LEASE_LOST: "the loss of its lease",
}


def job_row(job: Job, now: datetime) -> tuple[str | Text, ...]:
    """Return the cells for `COLUMNS`."""
    created_at = instant(job.created_at)
    return (
        job.id,
        job.type,
        state_cell(job_state_text(job)),
        f"{job.progress_percent} %" if job.attempt else "",
        str(job.priority),
        ago_text(created_at, now) if created_at else "",
        _ran(job, now),
        _note(job)[:NOTE_MAX],
    )


def job_facts(job: Job, now: datetime) -> list[tuple[str, str | Text]]:
    """Return every field that says something, with a name for people."""
    facts: list[tuple[str, str | Text]] = [
        ("id", job.id),
        ("type", job.type),
        ("state", state_cell(job_state_text(job))),
        ("waiting reason", job.waiting_reason),
        ("queue position", str(job.queue_position or "")),
        ("error", job.error),
        ("progress", f"{job.progress_percent} %"),
        ("category", category_text(job.category)),
        ("priority", f"{job.priority}{', interactive' if job.interactive else ''}"),
        ("VRAM", f"{job.vram_mib} MiB" if job.vram_mib else ""),
        ("parameters", _one_line(job.params_json)),
        ("result", _one_line(job.result_json)),
        ("parent", job.parent_id),
        ("after", ", ".join(job.depends_on)),
        ("unique key", job.unique_key),
        ("children", str(job.children or "")),
        ("collection", job.collection),
        ("submitted by", job.submitted_by),
        ("worker", job.worker_id),
        ("retries", f"{job.retry_count} of {job.max_retries}"),
    ]
    for name, stamp in (
        ("created", job.created_at),
        ("run at", job.run_at),
        ("retry after", job.retry_after),
        ("cancel requested", job.cancel_requested_at),
        ("pause requested", job.pause_requested_at),
        ("expected to start", job.predicted_start_at),
        ("started", job.started_at),
        ("expected to end", job.predicted_end_at),
        ("finished", job.finished_at),
    ):
        at = instant(stamp)
        facts.append((name, f"{rfc3339(stamp)} ({ago_text(at, now)})" if at else ""))
    facts.append(("ran", _ran(job, now)))
    facts.append(("ended by", _RUNGS.get(job.stop_rung, "")))
    facts += [(f"attempt {attempt.number}", _attempt_text(attempt)) for attempt in job.attempts]
    return [(name, value) for name, value in facts if value]


def _attempt_text(attempt: JobAttempt) -> str:
    ran_s = seconds_between(attempt.started_at, attempt.ended_at)
    parts = [
        attempt.outcome or "not ended",
        f"on {attempt.worker_id}" if attempt.worker_id else "",
        f"after {duration_text(ran_s)}" if ran_s is not None else "",
    ]
    text = " ".join(part for part in parts if part)
    return f"{text}: {attempt.error}" if attempt.error else text


def _note(job: Job) -> str:
    if job.HasField("cancel_requested_at") and not job.HasField("finished_at"):
        return "Asked to end"
    if job.HasField("pause_requested_at"):
        return "Asked to pause"
    return job.waiting_reason or job.error


def _ran(job: Job, now: datetime) -> str:
    ran_s = seconds_between(job.started_at, job.finished_at)
    started_at = instant(job.started_at)
    if ran_s is None and started_at and job.state == JobState.JOB_STATE_RUNNING:
        ran_s = (now - started_at).total_seconds()
    return "" if ran_s is None else duration_text(ran_s)


def _one_line(text: str) -> str:
    value = embedded(text)
    return "" if value is None or value == {} else json.dumps(value, ensure_ascii=False)
