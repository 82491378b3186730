"""A history in which everything goes well, written event by event, and ways to spoil it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from callsheet.verify.events import (
    Answer,
    AnyEvent,
    Asked,
    AttemptRow,
    Begin,
    CounterRow,
    End,
    Event,
    FateHeard,
    Fault,
    Granted,
    Invoke,
    JobRow,
    LogRows,
    OutputRow,
    Progressed,
    ResultSent,
    Started,
    State,
    Tables,
    Told,
    WorkerUp,
)

ATLAS, BOREA = "atlas-cpu-1", "atlas-cpu-2"


def token(term: int, counter: int) -> int:
    """Return a fencing token."""
    return term << 32 | counter


class Writer:
    """Notes events, a tenth of a second apart."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._calls = 0

    def note(self, of: type[Event], /, **facts: object) -> None:
        """Add an event; by the client, unless *facts* say otherwise."""
        at = len(self.events) / 10
        stamp: dict[str, object] = {"at": at, "utc": 1000 + at, "by": "client", "machine": "here"}
        self.events.append(cast("AnyEvent", of.model_validate(stamp | facts)))

    def call(
        self,
        op: str,
        jobs: Sequence[Asked],
        outcome: str,
        states: Sequence[State] = (),
        scope: str = "",
    ) -> None:
        """Add a call and what came of it; an unknown outcome has no answer."""
        self._calls += 1
        call = f"client:{self._calls}"
        self.note(Invoke, call=call, op=op, jobs=tuple(jobs), scope=scope)
        if outcome != "unknown":
            told = tuple(Told(id=job.id, state=state) for job, state in zip(jobs, states, strict=False))
            self.note(Answer, call=call, outcome=outcome, jobs=told)

    def run(self, worker: str, job: str, lease: int, attempt: int, outcome: str, **facts: object) -> None:
        """Let a worker run an attempt, and hear that it counts."""
        lease_of: dict[str, object] = {"by": f"{worker}.1", "worker": worker, "job": job, "token": lease}
        self.note(Granted, **lease_of, attempt=attempt)
        self.note(Started, **lease_of)
        for percent in (50, 100):
            self.note(Progressed, **lease_of, percent=percent)
        self.note(ResultSent, **lease_of, outcome=outcome, **facts)
        self.note(FateHeard, **lease_of, fate="committed")


def row(what: str, job: str, state: State, lease: int, attempt: int, **facts: object) -> dict[str, object]:
    """Return the facts of a job's row."""
    usual: dict[str, object] = {
        "what": what,
        "id": job,
        "type": "noop",
        "category": "cpu",
        "priority": 5,
        "interactive": False,
        "max_retries": 3,
        "state": state,
        "token": lease,
        "attempt": attempt,
        "retry_count": 0,
        "lost_count": 0,
        "capacity_count": 0,
        "created_at": 1000.0,
        "granted_at": 1002.0 if attempt else None,
    }
    return usual | facts


def good_history() -> list[AnyEvent]:
    """Return the events of a history that every law allows, with a bit of everything in it."""
    writer = Writer()
    writer.note(Begin, lease_ttl_s=2.0, host_limits={"cpu": 1})
    writer.note(WorkerUp, by=f"{ATLAS}.1", worker=ATLAS, host="atlas", slots=2)
    writer.note(WorkerUp, by=f"{BOREA}.1", worker=BOREA, host="atlas", slots=2)
    _accept(writer)
    _work(writer)
    _fail_and_retry(writer)
    _lose_a_worker(writer)
    _pause(writer)
    _drain(writer)
    writer.note(CounterRow, by="tables", state="completed", type="noop", category="cpu", jobs=7, before=True)
    writer.note(Tables, by="tables", at_rest=True, term=2)
    _write_rows(writer)
    writer.note(End, by="tables", events=len(writer.events))
    return writer.events


def _accept(writer: Writer) -> None:
    writer.call(
        "submit", [Asked(id="a", type="noop"), Asked(id="b", type="noop")], "ok", ["queued", "pending"]
    )
    writer.call("submit", [Asked(id="a", type="noop")], "ok", ["queued"])
    writer.call("submit", [Asked(id="a", type="noop", priority=1)], "refused")
    writer.call("submit", [Asked(id="c1", type="noop"), Asked(id="c2", type="noop")], "unknown")
    writer.call("submit", [Asked(id="d1", type="noop"), Asked(id="d2", type="noop")], "unknown")
    writer.call("submit", [Asked(id="e", type="noop")], "ok", ["pending"])
    writer.call("cancel", [Asked(id="e")], "ok", ["cancelled"])
    writer.call("read", [Asked(id="e")], "ok", ["cancelled"])


def _work(writer: Writer) -> None:
    writer.run(ATLAS, "a", token(1, 1), 1, "completed", follow_ups=("f",), outputs=("a.jpg",))
    writer.run(ATLAS, "b", token(1, 2), 1, "failed", kind="transient")
    writer.run(BOREA, "b", token(1, 3), 2, "completed", log_pieces=2)
    writer.run(BOREA, "c1", token(1, 4), 1, "completed")
    writer.run(BOREA, "c2", token(1, 5), 1, "completed")
    writer.run(ATLAS, "f", token(1, 6), 1, "completed")
    writer.call("read", [Asked(id="a")], "ok", ["completed"])


def _fail_and_retry(writer: Writer) -> None:
    writer.call(
        "submit", [Asked(id="g", type="noop"), Asked(id="j", type="noop")], "ok", ["pending", "pending"]
    )
    writer.run(ATLAS, "g", token(1, 7), 1, "failed", kind="bad_input")
    writer.run(ATLAS, "j", token(1, 8), 1, "failed", kind="cancelled")
    writer.call("cancel", [Asked(id="j")], "ok", ["running"])
    writer.call("retry", [Asked(id="j")], "ok", ["pending"])
    writer.run(ATLAS, "j", token(1, 9), 2, "completed")


def _lose_a_worker(writer: Writer) -> None:
    writer.call("submit", [Asked(id="h", type="noop")], "ok", ["queued"])
    lost: dict[str, object] = {"by": f"{BOREA}.1", "worker": BOREA, "job": "h", "token": token(1, 10)}
    writer.note(Granted, **lost, attempt=1)
    writer.note(Fault, by="nemesis", kind="kill_worker", target=BOREA)
    writer.run(ATLAS, "h", token(2, 1), 2, "completed")
    writer.note(ResultSent, **lost, outcome="completed")
    writer.note(FateHeard, **lost, fate="stale")


def _pause(writer: Writer) -> None:
    writer.call("pause", [], "ok", scope="slow")
    writer.call("submit", [Asked(id="k", type="slow")], "ok", ["pending"])
    writer.call("resume", [], "ok", scope="slow")
    writer.run(ATLAS, "k", token(2, 2), 1, "completed")


def _drain(writer: Writer) -> None:
    writer.call("drain", [], "ok", scope=BOREA)
    writer.call("undrain", [], "ok", scope=BOREA)


def _write_rows(writer: Writer) -> None:
    def wrote(what: str, job: str, state: State, lease: int, attempt: int, **facts: object) -> None:
        writer.note(JobRow, by="tables", **row(what, job, state, lease, attempt, **facts))

    wrote("done", "a", "completed", token(1, 1), 1)
    wrote("done", "b", "completed", token(1, 3), 2, retry_count=1)
    for job, lease in (("c1", token(1, 4)), ("c2", token(1, 5)), ("f", token(1, 6))):
        wrote("done", job, "completed", lease, 1)
    wrote("done", "e", "cancelled", 0, 0)
    wrote("done", "g", "failed", token(1, 7), 1)
    wrote("done", "j", "completed", token(1, 9), 2, retry_count=1)
    wrote("done", "h", "completed", token(2, 1), 2, granted_at=1009.0)
    wrote("done", "k", "completed", token(2, 2), 1, type="slow", granted_at=1020.0)
    ended: dict[str, object] = {"by": "tables", "ended_at": 1003.0, "number": 1}
    writer.note(AttemptRow, **ended, job="b", token=token(1, 2), outcome="failed")
    writer.note(AttemptRow, **ended, job="j", token=token(1, 8), outcome="cancelled")
    writer.note(AttemptRow, **ended, job="h", token=token(1, 10), outcome="expired")
    writer.note(LogRows, by="tables", job="b", attempt=2, pieces=2, first=1, last=2)
    writer.note(OutputRow, by="tables", job="a", token=token(1, 1), path="a.jpg")
    for state, jobs in (("completed", 14), ("failed", 1), ("cancelled", 1), ("pending", 9)):
        counted: dict[str, object] = {"state": state, "type": "noop", "category": "cpu", "jobs": jobs}
        writer.note(CounterRow, by="tables", **counted)
    for state in ("completed", "pending"):
        writer.note(CounterRow, by="tables", state=state, type="slow", category="cpu", jobs=1)


def matches(event: AnyEvent, of: type[Event], where: Mapping[str, object]) -> bool:
    """Return whether *event* is of a kind and has these facts."""
    return isinstance(event, of) and all(getattr(event, name) == value for name, value in where.items())


def changed(
    events: Iterable[AnyEvent], of: type[Event], where: Mapping[str, object], /, **facts: object
) -> list[AnyEvent]:
    """Return *events* with those of one kind that match *where* changed; at least one must."""
    given = list(events)
    assert any(matches(event, of, where) for event in given), f"no {of.__name__} with {where}"
    return [event.model_copy(update=facts) if matches(event, of, where) else event for event in given]


def without(events: Iterable[AnyEvent], of: type[Event], /, **where: object) -> list[AnyEvent]:
    """Return *events* without those of one kind that match *where*; at least one must."""
    given = list(events)
    kept = [event for event in given if not matches(event, of, where)]
    assert len(kept) < len(given), f"no {of.__name__} with {where}"
    return numbered(kept)


def numbered(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """Return *events* with an end that counts them."""
    kept = [event for event in events if not isinstance(event, End)]
    return [*kept, End(at=99.0, utc=1099.0, by="tables", events=len(kept))]


def with_more(events: Iterable[AnyEvent], *more: AnyEvent) -> list[AnyEvent]:
    """Return *events* with *more* before the end."""
    return numbered([*events, *more])
