"""A real worker process that notes what it hears and says, and whose jobs end as their parameters say."""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import override

from callsheet.catalog import Category, JobType
from callsheet.errors import AttemptError, BadInputError, CapacityError, TransientError
from callsheet.params import JobParams
from callsheet.service import logs
from callsheet.service.run import read_settings, run
from callsheet.v1.job_pb2 import FailureKind, NewJob
from callsheet.v1.lease_service_pb2 import Hello, Progress, Result, ResultFate, WorkRequest, WorkResponse
from callsheet.verify.events import (
    FateHeard,
    Granted,
    Progressed,
    ResultSent,
    Revoked,
    Started,
    Welcome,
    WorkerUp,
)
from callsheet.verify.recorder import Recorder, Stamp
from callsheet.worker.context import JobContext
from callsheet.worker.main import work
from callsheet.worker.processor import Outcome, Processor
from callsheet.worker.settings import WorkerSettings
from callsheet.worker.stream.commands import Command, LeaseKey, key_of
from callsheet.worker.stream.session import Session

MADE: Final = "made"
"""The root of files that jobs make."""

ERRORS: Final[dict[str, type[AttemptError]]] = {
    "bad_input": BadInputError,
    "capacity": CapacityError,
    "transient": TransientError,
}


class DoParams(JobParams):
    """What a job does."""

    steps: int = 0
    """Lines of log and marks of progress."""
    step_s: float = 0.0
    ending: Literal["completed", "bad_input", "capacity", "transient", "bug"] = "completed"
    first_attempts: int = 0
    """So many attempts end as *ending* says, the others complete."""
    follow_ups: tuple[str, ...] = ()
    """The ids of jobs to submit on completion."""
    output: str = ""
    """Where to put a file that says who made it; empty for none."""


def _type(name: str, *, resumable: bool = False) -> JobType:
    return JobType(
        name=name, description="Does as told.", params=DoParams, run_limit_s=60, resumable=resumable
    )


class Do(Processor[DoParams]):
    """Does what its parameters say."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @override
    async def process(self, params: DoParams, context: JobContext) -> Outcome:
        lease = context.lease
        self._recorder.note(Started(**self._recorder.stamp(), job=lease.job_id, token=lease.token))
        first = int(str((context.checkpoint or {}).get("steps", 0)))
        for step in range(first, params.steps):
            if self.job_type.resumable:
                context.save({"steps": step})
            context.report.log(f"step {step + 1} of {params.steps}")
            context.report.progress(100 * (step + 1) // params.steps)
            await asyncio.sleep(params.step_s)
        if lease.attempt <= params.first_attempts and params.ending != "completed":
            raise ERRORS.get(params.ending, RuntimeError)(f"ends as {params.ending}")
        if params.output:
            made = await context.stage(MADE, params.output)
            await made.write(f"{lease.job_id} {lease.token}\n".encode())
            await context.publish(made)
        follow_ups = [NewJob(id=job_id, type=self.job_type.name) for job_id in params.follow_ups]
        return Outcome(follow_ups=follow_ups)


class Brisk(Do):
    """The usual."""

    job_type = _type("brisk")


class Steady(Do):
    """One whose attempts can be paused."""

    job_type = _type("steady", resumable=True)


class Held(Do):
    """The one that clients pause."""

    job_type = _type("held")


PROCESSORS: Final = (Brisk, Steady, Held)


class RecordingSession(Session):
    """A session that notes what passes through it."""

    def __init__(
        self, recorder: Recorder, hello: Hello, *, now: float, results: Iterable[Result] = ()
    ) -> None:
        self._recorder = recorder
        self._worker = hello.worker_id
        self._pieces: dict[LeaseKey, int] = {}
        super().__init__(hello, now=now, results=results)
        note = WorkerUp(**recorder.stamp(), worker=self._worker, host=hello.host, slots=hello.slots)
        recorder.note(note)

    @override
    def received(self, response: WorkResponse, now: float, at: Timestamp) -> list[Command]:
        stamp, worker = self._recorder.stamp(), self._worker
        if response.HasField("welcome"):
            self._recorder.note(Welcome(**stamp, worker=worker, term=response.welcome.term))
        for grant in response.grants:
            lease = grant.lease
            self._recorder.note(
                Granted(**stamp, worker=worker, job=lease.job_id, token=lease.token, attempt=grant.attempt)
            )
        for ack in response.result_acks:
            fate = ResultFate.Name(ack.fate).removeprefix("RESULT_FATE_").lower()
            facts = {"worker": worker, "job": ack.lease.job_id, "token": ack.lease.token, "fate": fate}
            self._recorder.note(FateHeard.model_validate(facts | stamp))
        for revoke in response.revokes:
            lease = revoke.lease
            self._recorder.note(
                Revoked(
                    **stamp, worker=worker, job=lease.job_id, token=lease.token, cancelled=revoke.cancelled
                )
            )
        return super().received(response, now, at)

    @override
    def flush(self, now: float, *, load: float) -> WorkRequest | None:
        request = super().flush(now, load=load)
        if request is not None:
            stamp = self._recorder.stamp()
            for chunk in request.logs:
                key = key_of(chunk.lease)
                self._pieces[key] = max(chunk.sequence, self._pieces.get(key, 0))
            self._recorder.note(*[self._progressed(progress, stamp) for progress in request.progress])
            self._recorder.note(*[self._result(result, stamp) for result in request.results])
        return request

    def _progressed(self, progress: Progress, stamp: Stamp) -> Progressed:
        job, token = key_of(progress.lease)
        return Progressed(**stamp, worker=self._worker, job=job, token=token, percent=progress.percent)

    def _result(self, result: Result, stamp: Stamp) -> ResultSent:
        job, token = key_of(result.lease)
        outcome = result.WhichOneof("outcome")
        kind = FailureKind.Name(result.failed.kind).removeprefix("FAILURE_KIND_").lower()
        facts: dict[str, object] = {
            "worker": self._worker,
            "job": job,
            "token": token,
            "outcome": outcome,
            "kind": kind if outcome == "failed" else "",
            "log_pieces": self._pieces.get((job, token), 0),
            "follow_ups": tuple(job.id for job in result.completed.follow_ups),
            "outputs": tuple(one.path for one in result.completed.outputs),
        }
        return ResultSent.model_validate(facts | stamp)


def main() -> None:
    """Run the worker until it is told to stop; its settings are those of every worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--history", type=Path, required=True)
    options = parser.parse_args()
    settings = read_settings(WorkerSettings)
    logs.configure(settings.log_level)
    with Recorder(options.history, by=options.name) as recorder:
        processors = {one.job_type.name: one(recorder) for one in PROCESSORS}

        async def main_loop(stop: asyncio.Event) -> int:
            return await work(
                settings,
                stop,
                kind="nemesis",
                categories=(Category.CPU,),
                processors=processors,
                make_session=partial(RecordingSession, recorder),
            )

        sys.exit(run(main_loop))


if __name__ == "__main__":
    main()
