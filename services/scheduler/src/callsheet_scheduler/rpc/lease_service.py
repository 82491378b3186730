"""LeaseService: one stream per worker."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from typing_extensions import override

from callsheet.errors import InvalidError, UnavailableError
from callsheet.v1.lease_service_pb2 import (
    Grant,
    LeaseRef,
    Result,
    ResultAck,
    ResultFate,
    Revoke,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceServicer
from callsheet_scheduler.domain.effects import SendAck, SendGrant, SendRevoke
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.rpc.convert import (
    attempt_from_wire,
    capability_from_wire,
    duration_to_wire,
    ending_from_wire,
    instant_from_wire,
    known_type_from_wire,
    submission_from_wire,
)
from callsheet_scheduler.rpc.library_convert import changes_from_wire
from callsheet_scheduler.use_cases.grants import Grants, Session

Context = grpc.aio.ServicerContext[WorkRequest, WorkResponse]

#: Grants in one message, so that it stays under the message limit.
GRANTS_PER_MESSAGE_MAX = 200


class SessionOutbox:
    """Gathers what is to be said to one worker into as few messages as possible."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._wake = asyncio.Event()
        self._granted: list[Grant] = []
        self._acks: list[ResultAck] = []
        self._revokes: list[Revoke] = []
        self._heartbeat = 0
        self._error: Exception | None = None

    def grant(self, message: SendGrant) -> None:
        """Add a lease."""
        job = message.job
        self._granted.append(
            Grant(
                lease=LeaseRef(job_id=job.id, token=message.token),
                type=job.type,
                params_json=message.params,
                attempt=message.attempt,
                run_limit_s=self._grants.run_limit_s(job.type),
                priority=job.priority,
                interactive=job.interactive,
            ),
        )
        self._wake.set()

    def acknowledge(self, message: SendAck) -> None:
        """Add an answer to a result."""
        lease = LeaseRef(job_id=message.job_id, token=message.token)
        self._acks.append(ResultAck(lease=lease, fate=ResultFate.ValueType(message.fate)))
        self._wake.set()

    def revoke(self, message: SendRevoke) -> None:
        """Add an attempt to end."""
        lease = LeaseRef(job_id=message.job_id, token=message.token)
        self._revokes.append(Revoke(lease=lease, cancelled=message.cancelled))
        self._wake.set()

    def heartbeat(self, sequence: int) -> None:
        """Answer a heartbeat."""
        self._heartbeat = sequence
        self._wake.set()

    def end(self, error: Exception | None) -> None:
        """Let ``next`` raise *error*, or end the stream cleanly with ``EndedError`` for None."""
        self._error = error or EndedError()
        self._wake.set()

    async def next(self) -> WorkResponse:
        """Wait until there is something to say and return it."""
        await self._wake.wait()
        if self._error is not None:
            raise self._error
        granted = self._granted[:GRANTS_PER_MESSAGE_MAX]
        del self._granted[:GRANTS_PER_MESSAGE_MAX]
        message = WorkResponse(
            grants=granted,
            result_acks=self._acks,
            revokes=self._revokes,
            heartbeat_ack=self._heartbeat,
        )
        self._acks, self._revokes, self._heartbeat = [], [], 0
        if not self._granted:
            self._wake.clear()
        return message


class EndedError(Exception):
    """The worker said goodbye, or its stream ended."""


class LeaseService(LeaseServiceServicer):
    """Serves the workers' streams."""

    def __init__(self, grants: Grants, *, lease_ttl_s: float, orphan_limit_s: float) -> None:
        self._grants = grants
        self._lease_ttl_s = lease_ttl_s
        self._orphan_limit_s = orphan_limit_s
        self._streams: dict[str, SessionOutbox] = {}

    @override
    async def Work(
        self,
        request_iterator: AsyncIterator[WorkRequest],
        context: Context,
    ) -> AsyncIterator[WorkResponse]:
        hello = (await _first(request_iterator)).hello
        capability = capability_from_wire(hello)
        outbox = SessionOutbox(self._grants)
        older = self._streams.get(capability.id)
        if older is not None:
            older.end(EndedError())
        self._streams[capability.id] = outbox
        session, stale = await self._grants.open(
            capability,
            [known_type_from_wire(offer) for offer in hello.types],
            hello.credit,
            [(JobId(lease.job_id), Token(lease.token)) for lease in hello.held],
            outbox,
        )
        reading = asyncio.create_task(self._read(request_iterator, session, outbox))
        watching = asyncio.create_task(_end_with_term(session, outbox))
        try:
            yield WorkResponse(welcome=self._welcome(session, stale))
            while True:
                yield await outbox.next()
        except EndedError:
            return
        finally:
            watching.cancel()
            for_good = reading.done() and not reading.cancelled() and reading.exception() is None
            for_good = for_good and reading.result()
            reading.cancel()
            self._grants.close(session, for_good=for_good)
            if self._streams.get(capability.id) is outbox:
                del self._streams[capability.id]

    def _welcome(self, session: Session, stale: list[tuple[JobId, Token]]) -> Welcome:
        return Welcome(
            term=session.term.number,
            lease_ttl=duration_to_wire(self._lease_ttl_s),
            heartbeat_interval=duration_to_wire(self._lease_ttl_s / 5),
            orphan_limit=duration_to_wire(self._orphan_limit_s),
            stale=[LeaseRef(job_id=job_id, token=token) for job_id, token in stale],
        )

    async def _read(
        self,
        requests: AsyncIterator[WorkRequest],
        session: Session,
        outbox: SessionOutbox,
    ) -> bool:
        """Take in what the worker says; True when it said goodbye."""
        try:
            async for request in requests:
                self._take(request, session, outbox)
                session.term.commits.flush()
                if request.goodbye:
                    outbox.end(None)
                    return True
        except Exception as error:
            outbox.end(error)
            raise
        outbox.end(None)
        return False

    def _take(self, request: WorkRequest, session: Session, outbox: SessionOutbox) -> None:
        term, worker_id = session.term, session.worker_id
        now = term.commits.now()
        for started in request.started:
            lease = started.lease
            at = instant_from_wire(started.started_at) if started.HasField("started_at") else now
            term.engine.started(worker_id, JobId(lease.job_id), Token(lease.token), min(at, now))
        for progress in request.progress:
            lease = progress.lease
            term.engine.progress(worker_id, JobId(lease.job_id), Token(lease.token), progress.percent)
        if request.logs:
            self._grants.add_logs(
                session,
                [
                    (JobId(chunk.lease.job_id), Token(chunk.lease.token), chunk.sequence, chunk.text)
                    for chunk in request.logs
                ],
            )
        if request.drain:
            term.engine.drain(worker_id)
        for result in request.results:
            self._take_result(result, session)
        if request.HasField("heartbeat"):
            term.engine.heard(worker_id, load=request.heartbeat.load, now=now)
            outbox.heartbeat(request.heartbeat.sequence)
        if request.credit or request.results:
            term.engine.credit(worker_id, request.credit, now)
            term.engine.plan(now)

    def _take_result(self, result: Result, session: Session) -> None:
        attempt = attempt_from_wire(result)
        match result.WhichOneof("outcome"):
            case "completed":
                done = result.completed
                self._grants.completed(
                    session,
                    attempt,
                    done.result_json,
                    changes_from_wire(done.library) if done.HasField("library") else None,
                    [submission_from_wire(job) for job in done.follow_ups],
                )
            case outcome:
                ending, reason, library = ending_from_wire(result, outcome)
                changes = None if library is None else changes_from_wire(library)
                self._grants.ended(session, attempt, ending, reason, changes)


async def _first(requests: AsyncIterator[WorkRequest]) -> WorkRequest:
    async for request in requests:
        if request.HasField("hello"):
            return request
        break
    message = "the first message of a worker must be its hello"
    raise InvalidError(message, field="hello")


async def _end_with_term(session: Session, outbox: SessionOutbox) -> None:
    await session.term.commits.lost.wait()
    outbox.end(UnavailableError("this leadership has ended; connect again"))
