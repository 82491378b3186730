"""Starts the scheduler."""

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import grpc

from callsheet.catalog import CATALOG
from callsheet.errors import UnavailableError
from callsheet.service import logs
from callsheet.service.clock import SystemClock
from callsheet.service.ops import OpsServer
from callsheet.service.run import read_settings, read_tls, read_token, run
from callsheet.service.server import Checks, House, make_server, serve
from callsheet.v1.access_service_pb2_grpc import add_AccessServiceServicer_to_server
from callsheet.v1.externalscaler_pb2_grpc import add_ExternalScalerServicer_to_server
from callsheet.v1.fleet_service_pb2_grpc import add_FleetServiceServicer_to_server
from callsheet.v1.immich_service_pb2_grpc import add_ImmichServiceServicer_to_server
from callsheet.v1.job_service_pb2_grpc import add_JobServiceServicer_to_server
from callsheet.v1.lease_service_pb2_grpc import add_LeaseServiceServicer_to_server
from callsheet.v1.library_service_pb2_grpc import add_LibraryServiceServicer_to_server
from callsheet.v1.schedule_service_pb2_grpc import add_ScheduleServiceServicer_to_server
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.maintenance.footprints import keep_footprints
from callsheet_scheduler.maintenance.looking import look_while_leading
from callsheet_scheduler.maintenance.minutes import keep_minutes
from callsheet_scheduler.maintenance.partitions import Partitions
from callsheet_scheduler.queue_metrics import export_metrics
from callsheet_scheduler.rpc.access_service import AccessService
from callsheet_scheduler.rpc.fleet_service import FleetService
from callsheet_scheduler.rpc.immich_service import ImmichService
from callsheet_scheduler.rpc.job_service import JobService
from callsheet_scheduler.rpc.lease_service import LeaseService
from callsheet_scheduler.rpc.library_service import LibraryService
from callsheet_scheduler.rpc.on_record import OnRecord
from callsheet_scheduler.rpc.scaler_door import SERVICE, scaler_door
from callsheet_scheduler.rpc.scaler_service import ScalerService
from callsheet_scheduler.rpc.schedule_service import ScheduleService
from callsheet_scheduler.settings import SchedulerSettings
from callsheet_scheduler.store.access import AccessStore
from callsheet_scheduler.store.collections import CollectionStore
from callsheet_scheduler.store.connection import LOST_CONNECTION, Own, Pool
from callsheet_scheduler.store.history import HistoryStore
from callsheet_scheduler.store.job_types import load_job_types, load_type_changes
from callsheet_scheduler.store.library_reads import LibraryStore
from callsheet_scheduler.store.migrate import migrate
from callsheet_scheduler.store.minutes import MinutesStore
from callsheet_scheduler.store.pool import check_direct, open_lists, open_readers
from callsheet_scheduler.store.records import read_done
from callsheet_scheduler.store.repeatable import meaning_of
from callsheet_scheduler.store.sizes import read_sizes
from callsheet_scheduler.use_cases.access import Access
from callsheet_scheduler.use_cases.actions import Actions
from callsheet_scheduler.use_cases.collections import Collections
from callsheet_scheduler.use_cases.cron import Cron
from callsheet_scheduler.use_cases.devices import Devices
from callsheet_scheduler.use_cases.fleet import Workers
from callsheet_scheduler.use_cases.grants import Grants
from callsheet_scheduler.use_cases.immich import ImmichServers
from callsheet_scheduler.use_cases.inbox import Inbox
from callsheet_scheduler.use_cases.job_logs import JobLogs
from callsheet_scheduler.use_cases.job_types import JobTypes
from callsheet_scheduler.use_cases.jobs import Jobs
from callsheet_scheduler.use_cases.library import Library
from callsheet_scheduler.use_cases.queues import Queues
from callsheet_scheduler.use_cases.scaling import Scaling
from callsheet_scheduler.use_cases.schedules import Schedules
from callsheet_scheduler.use_cases.type_changes import TypeChanges
from callsheet_scheduler.use_cases.views import Views
from callsheet_scheduler.use_cases.watching import Watching

log = logging.getLogger(__name__)

SERVICES = (
    *(
        f"callsheet.v1.{name}Service"
        for name in ("Job", "Lease", "Library", "Fleet", "Schedule", "Immich", "Access")
    ),
    SERVICE,
)

#: The exit code after a fault of the scheduler's own.
FAULT_EXIT = 1

#: Seconds that calls under way have to end when the scheduler stops.
GRACE_S = 1.0

#: New objects between two looks of the garbage collector. A batch of jobs is many objects and no garbage.
OBJECTS_UNTIL_COLLECTED = 50_000

#: Seconds between two looks at whether this scheduler leads or could.
HEALTH_PAUSE_S = 0.5

#: Seconds between two looks for a database that is not there yet.
DATABASE_PAUSE_S = 0.5


def main() -> None:
    """Run the scheduler until it is told to stop."""
    settings = read_settings(SchedulerSettings)
    logs.configure(settings.log_level)
    gc.set_threshold(OBJECTS_UNTIL_COLLECTED)
    sys.exit(run(lambda stop: _main(settings, stop)))


async def _main(settings: SchedulerSettings, stop: asyncio.Event) -> int:
    dsn = settings.database_url
    readers = await open_readers(dsn, connections_max=settings.readers_max)
    types = JobTypes()
    leadership = Leadership(
        dsn,
        readers,
        settings.rules(),
        SystemClock(),
        ttl_s=settings.leader_ttl_s,
        prepare=partial(_learn, types),
    )
    ops = OpsServer(_ready(leadership))
    try:
        ops_port = await ops.start(settings.ops_host, settings.ops_port)
        log.info("answering probes", extra={"ops_port": ops_port})
        if not await _done_before(stop, _migrate(dsn)):
            return 0
        return await _serve(settings, stop, leadership, readers, types)
    finally:
        await ops.stop()
        readers.terminate()


def _partitions(leadership: Leadership, settings: SchedulerSettings) -> Partitions:
    return Partitions(
        leadership,
        settings.database_url,
        history_days=settings.history_days,
        audit_days=settings.audit_days,
    )


async def _serve(
    settings: SchedulerSettings, stop: asyncio.Event, leadership: Leadership, readers: Pool, types: JobTypes
) -> int:
    lists = open_lists(settings.database_url, connections_max=settings.readers_max)
    past = partial(read_done, readers)
    jobs = Jobs(leadership, types, past, partial(read_sizes, readers))
    actions = Actions(leadership, types, past)
    inbox, changes = Inbox(leadership, jobs, types, past), TypeChanges(leadership, types)
    watching = Watching(leadership)
    access = Access(leadership, AccessStore(readers))
    recording = OnRecord(access, SystemClock())
    house = House(refusal=leadership.refusal, known=meaning_of, around=recording.around)
    token, tls = read_token(settings), read_tls(settings)
    server = make_server(token=token, house=house)
    history, minutes = HistoryStore(lists, readers), MinutesStore(readers)
    views, job_logs = Views(leadership, history, minutes), JobLogs(leadership, history)
    add_JobServiceServicer_to_server(JobService(jobs, actions, views, job_logs, watching, changes), server)
    add_LibraryServiceServicer_to_server(
        LibraryService(
            Library(leadership, LibraryStore(lists, readers)),
            Collections(leadership, CollectionStore(readers)),
        ),
        server,
    )
    _add_steering(server, leadership, types, jobs, minutes)
    add_AccessServiceServicer_to_server(AccessService(access), server)
    add_ExternalScalerServicer_to_server(ScalerService(Scaling(leadership)), server)
    add_LeaseServiceServicer_to_server(_leases(settings, Grants(leadership, types, jobs)), server)
    export_metrics(leadership)
    checks = Checks(SERVICES)
    running: list[asyncio.Task[None]] = []
    try:
        port = await serve(server, settings.listen, SERVICES, checks, tls)
        log.info("listening", extra={"grpc_port": port})
        running += _parts(
            leadership=leadership.run(settings.advertised(port)),
            watching=watching.run(),
            partitions=_partitions(leadership, settings).run(),
            schedules=look_while_leading(leadership, "schedules wait", Cron(leadership, jobs).fire),
            inbox=look_while_leading(leadership, "the inbox waits", inbox.take),
            types=look_while_leading(leadership, "changes of job types wait", changes.move_some),
            footprints=keep_footprints(leadership),
            minutes=keep_minutes(leadership),
            health=_tell_health(checks, leadership),
        )
        if settings.port_file is not None:
            _write_port(settings.port_file, port)
        async with scaler_door(settings.keda_listen, settings.own(port), token, tls):
            return 0 if await _until(stop, *running) else FAULT_EXIT
    finally:
        await _end(running)
        await server.stop(GRACE_S)
        await lists.dispose()


def _leases(settings: SchedulerSettings, grants: Grants) -> LeaseService:
    return LeaseService(grants, lease_ttl_s=settings.lease_ttl_s, orphan_limit_s=settings.orphan_limit_s)


def _add_steering(
    server: grpc.aio.Server, leadership: Leadership, types: JobTypes, jobs: Jobs, minutes: MinutesStore
) -> None:
    """Answer about workers, queues, schedules and Immich servers."""
    add_FleetServiceServicer_to_server(
        FleetService(Workers(leadership), Devices(leadership, minutes), Queues(leadership, types)), server
    )
    add_ScheduleServiceServicer_to_server(ScheduleService(Schedules(leadership, jobs)), server)
    add_ImmichServiceServicer_to_server(ImmichService(ImmichServers(leadership)), server)


def _parts(**parts: Coroutine[object, object, None]) -> list[asyncio.Task[None]]:
    """Start the parts of the scheduler."""
    return [asyncio.create_task(part, name=name) for name, part in parts.items()]


async def _end(running: Iterable[asyncio.Task[None]]) -> None:
    """End the parts; the leadership is first, so that another scheduler begins as calls end."""
    for part in running:
        part.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await part


async def _done_before(stop: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Do *work* until its end or *stop*; return whether it came to its end."""
    stopping, working = asyncio.create_task(stop.wait()), asyncio.create_task(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
        return True
    finally:
        for one in (stopping, working):
            one.cancel()
        await asyncio.wait({stopping, working})


async def _migrate(dsn: str) -> None:
    """Bring the tables up to date; a database that is away is waited for.

    Raises:
        UnavailableError: It will not do, however long one waits.
    """
    said = ""
    while True:
        try:
            await check_direct(dsn)
            applied = await migrate(dsn)
        except LOST_CONNECTION as cause:
            if meaning_of(cause) is None:
                message = f"CALLSHEET_DATABASE_URL does not work: {cause}"
                raise UnavailableError(message) from cause
            reason = str(cause) or type(cause).__name__
            if reason != said:
                said = reason
                log.warning("waiting for the database of CALLSHEET_DATABASE_URL: %s", reason)
            await asyncio.sleep(DATABASE_PAUSE_S)
        else:
            log.info("tables are up to date", extra={"applied": applied})
            return


async def _learn(types: JobTypes, connection: Own) -> None:
    """Learn the types that workers brought to earlier leaders, and what was decided of types."""
    types.restore(await load_type_changes(connection))
    for row in await load_job_types(connection):
        if row.name not in CATALOG:
            types.learn(row)


async def _until(stop: asyncio.Event, *running: asyncio.Task[None]) -> bool:
    """Wait for *stop*, and return whether it came; a part that ends before is a fault, and is logged."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for part in done & set(running):
        log.critical("the scheduler ends: its %s failed", part.get_name(), exc_info=part.exception())
    return stopping in done


def _ready(leadership: Leadership) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return leadership.healthy

    return ready


async def _tell_health(checks: Checks, leadership: Leadership) -> None:
    while True:
        await checks.tell(well=leadership.healthy)
        await asyncio.sleep(HEALTH_PAUSE_S)


def _write_port(path: Path, port: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(f"{port}\n", encoding="ascii")
    partial.replace(path)


if __name__ == "__main__":
    main()
