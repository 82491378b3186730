"""Says which roles may call which method of gRPC; what does not stand here is refused to everybody."""

from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.descriptor_pool import Default

from callsheet.errors import InvalidError
from callsheet.identities import Role

_GATEWAY: Final = frozenset({Role.GATEWAY})
_STEERING: Final = frozenset({Role.GATEWAY, Role.OPERATOR})
_ASKING: Final = _STEERING | {Role.CLIENT}
_READING: Final = _ASKING | {Role.WORKER}
_LEASED: Final = frozenset({Role.WORKER, Role.IMMICH})
_EVERY: Final = frozenset(Role)

_BY_SERVICE: Final[Mapping[str, Mapping[str, frozenset[Role]]]] = {
    "callsheet.v1.JobService": {
        "SubmitJobs": _ASKING | _LEASED,
        "GetJob": _READING,
        "ListJobs": _READING,
        "ListChildren": _READING,
        "CancelJob": _ASKING | {Role.IMMICH},
        "RetryJob": _ASKING,
        "PauseJob": _ASKING,
        "ResumeJob": _ASKING,
        "PrioritizeJob": _STEERING,
        "ActOnJobs": _STEERING,
        "WatchJobs": _ASKING,
        "ReadLog": _ASKING,
        "GetStats": _ASKING,
        "ListHours": _ASKING,
        "ListJobTypes": _ASKING,
        "ChangeJobType": _STEERING,
    },
    "callsheet.v1.LeaseService": {"Work": _LEASED},
    "callsheet.v1.LibraryService": {
        "UpsertItems": frozenset({Role.GATEWAY, Role.WORKER}),
        "ListItems": _READING,
        "GetItem": _READING,
        "GetItems": _READING,
        "SampleItems": _READING,
        "NoteViews": _GATEWAY,
        "GetCacheStats": _ASKING,
        "CreateCollection": _ASKING,
        "ListCollections": _ASKING,
        "GetCollection": _ASKING,
    },
    "callsheet.v1.FleetService": {
        "ListWorkers": _READING,
        "DrainWorker": _STEERING,
        "ResumeWorker": _STEERING,
        "ListDevices": _STEERING,
        "ListQueues": _ASKING,
        "PauseQueue": _STEERING,
        "ResumeQueue": _STEERING,
        "LimitQueue": _STEERING,
    },
    "callsheet.v1.ScheduleService": {
        "ListSchedules": _ASKING,
        "GetSchedule": _ASKING,
        "AddSchedule": _STEERING,
        "ChangeSchedule": _STEERING,
        "PauseSchedule": _STEERING,
        "ResumeSchedule": _STEERING,
        "RunSchedule": _STEERING,
        "RemoveSchedule": _STEERING,
    },
    "callsheet.v1.ImmichService": {
        "ListImmichServers": _ASKING,
        "ChangeImmichServer": _STEERING,
        "ReportImmichServer": frozenset({Role.IMMICH}),
    },
    "callsheet.v1.AccessService": {
        "CreateApiKey": _STEERING,
        "ListApiKeys": _STEERING,
        "RevokeApiKey": _STEERING,
        "ChangeApiKey": _STEERING,
        "ResolveApiKey": _GATEWAY,
        "EndSession": _GATEWAY,
        "CheckSession": _GATEWAY,
        "AppendAudit": _GATEWAY,
        "ListAudit": _STEERING,
    },
    # A scheduler asks another one in KEDA's name.
    "externalscaler.ExternalScaler": {
        "IsActive": frozenset({Role.SCHEDULER, Role.OPERATOR}),
        "StreamIsActive": frozenset({Role.SCHEDULER, Role.OPERATOR}),
        "GetMetricSpec": frozenset({Role.SCHEDULER, Role.OPERATOR}),
        "GetMetrics": frozenset({Role.SCHEDULER, Role.OPERATOR}),
    },
    "grpc.health.v1.Health": {"Check": _EVERY, "Watch": _EVERY, "List": _EVERY},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _EVERY},
}

#: By the method's full name, as a call names it.
PERMISSIONS: Final[Mapping[str, frozenset[Role]]] = {
    f"/{service}/{method}": roles
    for service, methods in _BY_SERVICE.items()
    for method, roles in methods.items()
}


def methods_of(services: Iterable[str]) -> list[str]:
    """Return the full names of all methods of *services*, by their descriptors."""
    pool = Default()
    return [
        f"/{service}/{method.name}"
        for service in services
        for method in pool.FindServiceByName(service).methods
    ]


def check_complete(services: Iterable[str]) -> None:
    """See that every method of *services* has an entry.

    Raises:
        InvalidError: One has none; nobody could call it.
    """
    missing = sorted(set(methods_of(services)) - PERMISSIONS.keys())
    if missing:
        raise InvalidError(
            f"no role may call {', '.join(missing)}: enter it in callsheet/service/permissions.py"
        )
