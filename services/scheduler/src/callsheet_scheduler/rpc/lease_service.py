"""LeaseService: one stream per worker."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, assert_never

import grpc
from typing_extensions import override

from callsheet.errors import DeniedError, InvalidError, UnavailableError
from callsheet.service import telemetry
from callsheet.service.peers import caller
from callsheet.v1.lease_service_pb2 import LeaseRef, Result, Welcome, WorkRequest, WorkResponse
from callsheet.v1.lease_service_pb2_grpc import LeaseServiceServicer
from callsheet_scheduler.domain.effects import (
    SendAck,
    SendDrain,
    SendGrant,
    SendPlace,
    SendRevoke,
    SessionMessage,
)
from callsheet_scheduler.domain.job import JobId, Token
from callsheet_scheduler.rpc.convert import duration_to_wire, instant_from_wire, submission_from_wire
from callsheet_scheduler.rpc.lease_convert import (
    add_ack,
    add_grant,
    attempt_from_wire,
    capability_from_wire,
    completion_from_wire,
    drain_to_wire,
    known_type_from_wire,
    outcome_from_wire,
    output_from_wire,
    output_to_wire,
    readings_from_wire,
    revoke_to_wire,
)
from callsheet_scheduler.use_cases.grants import Grants, Session

Context = grpc.aio.ServicerContext[WorkRequest, WorkResponse]

#: Bytes of grants after which a message takes no more of them; one grant has at most 128 KiB.
GRANTS_BYTES: Final = 256 * 1024

#: Bytes that a grant is taken to have beyond its texts.
GRANT_BYTES: Final = 100

#: Results that are taken in at once.
RESULTS_AT_ONCE: Final = 64


class SessionOutbox:
    """Gathers what is to be said to one worker into as few messages as possible."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._wake = asyncio.Event()
        self._granted: deque[SendGrant] = deque()
        self._response = WorkResponse()
        self._error: Exception | None = None

    def add(self, message: SessionMessage) -> None:
        """Say this soon."""
        match message:
            case SendGrant():
                self._granted.append(message)
            case SendAck():
                add_ack(self._response.result_acks, message)
            case SendRevoke():
                self._response.revokes.append(revoke_to_wire(message))
            case SendPlace():
                self._response.place.append(output_to_wire(message.output))
            case SendDrain():
                self._response.drain.CopyFrom(drain_to_wire(message))
            case _:
                assert_never(message)
        self._wake.set()

    def heartbeat(self, sequence: int) -> None:
        """Answer a heartbeat."""
        self._response.heartbeat_ack = sequence
        self._wake.set()

    def logs_kept(self, heartbeat: int) -> None:
        """Say that all log text before that heartbeat is kept."""
        self._response.logs_kept = heartbeat
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
        message, self._response = self._response, WorkResponse()
        size_bytes = 0
        while self._granted and (not size_bytes or size_bytes < GRANTS_BYTES):
            grant = self._granted.popleft()
            size_bytes += GRANT_BYTES + len(grant.params) + len(grant.checkpoint)
            add_grant(message.grants, grant, run_limit_s=self._grants.run_limit_s(grant.job.type))
            if telemetry.is_on():
                self._grants.tell_waited(grant)
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
        _check_name(context, capability.id)
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
                await self._take_results(request, session)
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
        for placed in request.placed:
            self._grants.placed(session, output_from_wire(placed.output), placed.problem)
        if request.drain:
            term.engine.leaving(worker_id)
        if request.HasField("heartbeat"):
            term.engine.heard(worker_id, load=request.heartbeat.load, now=now)
            if request.heartbeat.devices:
                term.engine.observed(worker_id, readings_from_wire(request.heartbeat.devices), now)
            sequence = request.heartbeat.sequence
            outbox.heartbeat(sequence)
            term.commits.when_logs_kept(lambda: outbox.logs_kept(sequence))

    async def _take_results(self, request: WorkRequest, session: Session) -> None:
        """Take in results and credit, in parts.

        While one part is written the next is taken in, and the worker begins what the part before has made
        room for.
        """
        engine, commits, credit = session.term.engine, session.term.commits, request.credit
        for start in range(0, len(request.results), RESULTS_AT_ONCE):
            part, now = request.results[start : start + RESULTS_AT_ONCE], commits.now()
            for result in part:
                self._take_result(result, session, now)
            given = min(credit, len(part))
            credit -= given
            engine.credit(session.worker_id, given, now)
            engine.plan(now)
            commits.flush()
            await asyncio.sleep(0)
        if credit:
            engine.credit(session.worker_id, credit, commits.now())
            engine.plan(commits.now())
        commits.flush()

    def _take_result(self, result: Result, session: Session, now: float) -> None:
        attempt = attempt_from_wire(result, now)
        if result.HasField("completed"):
            self._grants.completed(session, attempt, completion_from_wire(result), now)
        elif result.HasField("yielded"):
            children = [submission_from_wire(job) for job in result.yielded.children]
            self._grants.yielded(session, attempt, outcome_from_wire(result), children, now)
        else:
            self._grants.ended(session, attempt, outcome_from_wire(result), now)


def _check_name(context: Context, worker_id: str) -> None:
    """See that a worker with a certificate speaks as itself.

    Raises:
        DeniedError: The certificate is another worker's.
    """
    identity = caller(context)
    if identity is not None and not identity.may_speak_as(worker_id):
        raise DeniedError(
            f"the certificate is that of {identity.name}, which may not speak as {worker_id}: "
            "give each worker a certificate and a spool of its own"
        )


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
