"""A history read and put in order: every job with everything that concerns it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter, ValidationError

from callsheet.errors import InvalidError
from callsheet.verify.events import (
    VERSION,
    Answer,
    AnyEvent,
    Asked,
    AttemptRow,
    Begin,
    CounterRow,
    End,
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
    WorkerUp,
)

_LINE: Final[TypeAdapter[AnyEvent]] = TypeAdapter(AnyEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A client's call and what came back, if anything did."""

    invoke: Invoke
    answer: Answer | None = None

    @property
    def outcome(self) -> str:
        """``ok``, ``refused`` or ``unknown``."""
        return "unknown" if self.answer is None else self.answer.outcome

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """What was noted of it."""
        return (self.invoke,) if self.answer is None else (self.invoke, self.answer)

    def told(self, job_id: str) -> State | None:
        """Return the state in which the answer showed the job."""
        jobs = () if self.answer is None else self.answer.jobs
        return next((job.state for job in jobs if job.id == job_id), None)

    def asked(self, job_id: str) -> Asked | None:
        """Return the job as the call named it."""
        return next((job for job in self.invoke.jobs if job.id == job_id), None)


@dataclass(slots=True, kw_only=True)
class Story:
    """Everything about one job."""

    id: str
    calls: list[Call] = field(default_factory=list[Call])
    granted: list[Granted] = field(default_factory=list[Granted])
    started: list[Started] = field(default_factory=list[Started])
    progress: list[Progressed] = field(default_factory=list[Progressed])
    results: list[ResultSent] = field(default_factory=list[ResultSent])
    fates: list[FateHeard] = field(default_factory=list[FateHeard])
    rows: list[JobRow] = field(default_factory=list[JobRow])
    attempts: list[AttemptRow] = field(default_factory=list[AttemptRow])
    logs: list[LogRows] = field(default_factory=list[LogRows])
    outputs: list[OutputRow] = field(default_factory=list[OutputRow])

    @property
    def row(self) -> JobRow | None:
        """Its row; where it wrongly has two, the one of history."""
        return next((row for row in self.rows if row.what == "done"), self.rows[0] if self.rows else None)

    def asked_for(self, op: str, *outcomes: str) -> list[Call]:
        """Return the calls of one kind about it that came out so."""
        return [call for call in self.calls if call.invoke.op == op and call.outcome in outcomes]

    def result(self, token: int) -> ResultSent | None:
        """Return the first result that a worker sent under *token*."""
        return next((result for result in self.results if result.token == token), None)


@dataclass(slots=True, kw_only=True)
class History:
    """All events, by what they speak of."""

    begin: Begin
    events: list[AnyEvent]
    calls: dict[str, Call] = field(default_factory=dict[str, Call])
    jobs: dict[str, Story] = field(default_factory=dict[str, Story])
    workers: dict[str, WorkerUp] = field(default_factory=dict[str, WorkerUp])
    faults: list[Fault] = field(default_factory=list[Fault])
    counters: list[CounterRow] = field(default_factory=list[CounterRow])
    tables: Tables | None = None

    @property
    def rows(self) -> list[JobRow]:
        """Every row of a job."""
        return [row for story in self.jobs.values() for row in story.rows]

    @property
    def has_calls(self) -> bool:
        """Whether the clients were recorded."""
        return bool(self.calls)


def read(lines: Iterable[str | bytes]) -> History:
    """Return the history that *lines* are.

    Raises:
        InvalidError: A line is no event, the first is not ``begin``, or lines are missing at the end.
    """
    events: list[AnyEvent] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            events.append(_LINE.validate_json(line))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise InvalidError(
                f"line {number} is no event of a history: {where + ': ' if where else ''}{problem['msg']}; "
                "docs/reference/history.md describes the lines",
                field="history",
            ) from None
    return arrange(events)


def arrange(events: list[AnyEvent]) -> History:
    """Put *events* in order.

    Raises:
        InvalidError: The first or the last line is missing.
    """
    begin = events[0] if events else None
    if not isinstance(begin, Begin):
        raise InvalidError(
            "the first line of a history is its `begin`, and this file has another: name a recorded history",
            field="history",
        )
    if begin.version != VERSION:
        raise InvalidError(
            f"the history has version {begin.version}, and this checker judges version {VERSION}: "
            "use the Callsheet that recorded it",
            field="history",
        )
    end = events[-1]
    if not isinstance(end, End) or end.events != len(events) - 1:
        raise InvalidError(
            "the history is cut off: its last line, `end`, is missing or counts other lines; "
            "record it to its end",
            field="history",
        )
    history = History(begin=begin, events=events)
    _gather(history)
    return history


def _gather(history: History) -> None:
    """Sort every event under what it speaks of."""
    stories: defaultdict[str, Story] = defaultdict(lambda: Story(id=""))
    answers = {event.call: event for event in history.events if isinstance(event, Answer)}
    for event in history.events:
        match event:
            case Invoke():
                call = Call(invoke=event, answer=answers.get(event.call))
                history.calls[event.call] = call
                for job_id in dict.fromkeys(job.id for job in event.jobs):
                    stories[job_id].calls.append(call)
            case JobRow():
                stories[event.id].rows.append(event)
            case Granted() | Started() | Progressed() | ResultSent() | FateHeard():
                _hear(stories[event.job], event)
            case AttemptRow() | LogRows() | OutputRow():
                _keep(stories[event.job], event)
            case _:
                _note(history, event)
    for job_id, story in stories.items():
        story.id = job_id
        story.attempts.sort(key=lambda attempt: attempt.number)
    history.jobs = dict(stories)


def _note(history: History, event: AnyEvent) -> None:
    match event:
        case WorkerUp():
            history.workers[event.worker] = event
        case Fault():
            history.faults.append(event)
        case CounterRow():
            history.counters.append(event)
        case Tables():
            history.tables = event
        case _:
            pass


def _hear(story: Story, event: Granted | Started | Progressed | ResultSent | FateHeard) -> None:
    match event:
        case Granted():
            story.granted.append(event)
        case Started():
            story.started.append(event)
        case Progressed():
            story.progress.append(event)
        case ResultSent():
            story.results.append(event)
        case FateHeard():
            story.fates.append(event)


def _keep(story: Story, row: AttemptRow | LogRows | OutputRow) -> None:
    match row:
        case AttemptRow():
            story.attempts.append(row)
        case LogRows():
            story.logs.append(row)
        case OutputRow():
            story.outputs.append(row)
