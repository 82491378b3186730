"""FleetService: translate in, call, translate out."""

from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.catalog import Category
from callsheet.v1.fleet_service_pb2 import (
    DrainWorkerRequest,
    DrainWorkerResponse,
    HostLimit,
    LimitQueueRequest,
    LimitQueueResponse,
    ListDevicesRequest,
    ListDevicesResponse,
    ListQueuesRequest,
    ListQueuesResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    PauseQueueRequest,
    PauseQueueResponse,
    ResumeQueueRequest,
    ResumeQueueResponse,
    ResumeWorkerRequest,
    ResumeWorkerResponse,
)
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceServicer
from callsheet.v1.job_pb2 import ResourceCategory
from callsheet_scheduler.domain.limits import SCOPE_OF
from callsheet_scheduler.rpc.fleet_convert import (
    device_to_wire,
    limits_from_wire,
    queue_to_wire,
    worker_to_wire,
)
from callsheet_scheduler.use_cases.devices import Devices
from callsheet_scheduler.use_cases.fleet import Workers
from callsheet_scheduler.use_cases.queues import Queues

Context = grpc.aio.ServicerContext[Message, Message]

#: Characters of a name that is kept of who asked.
NAME_MAX: Final = 64


class FleetService(FleetServiceServicer):
    """What runs where, and what may."""

    def __init__(self, workers: Workers, devices: Devices, queues: Queues) -> None:
        self._workers = workers
        self._devices = devices
        self._queues = queues

    @override
    async def ListWorkers(self, request: ListWorkersRequest, context: Context) -> ListWorkersResponse:
        limits = self._workers.limits().host
        return ListWorkersResponse(
            workers=[worker_to_wire(worker) for worker in self._workers.all()],
            limits=[
                HostLimit(category=ResourceCategory.ValueType(category), limit=limits[SCOPE_OF[category]])
                for category in Category
                if SCOPE_OF[category] in limits
            ],
        )

    @override
    async def DrainWorker(self, request: DrainWorkerRequest, context: Context) -> DrainWorkerResponse:
        grace_s = request.grace.ToTimedelta().total_seconds() if request.HasField("grace") else None
        worker = await self._workers.drain(request.id, grace_s=grace_s, by=request.requested_by[:NAME_MAX])
        return DrainWorkerResponse(worker=worker_to_wire(worker))

    @override
    async def ResumeWorker(self, request: ResumeWorkerRequest, context: Context) -> ResumeWorkerResponse:
        return ResumeWorkerResponse(worker=worker_to_wire(await self._workers.resume(request.id)))

    @override
    async def ListDevices(self, request: ListDevicesRequest, context: Context) -> ListDevicesResponse:
        history = await self._devices.history(request.history_minutes)
        return ListDevicesResponse(
            devices=[device_to_wire(view, history.get(view.account.id, ())) for view in self._devices.all()]
        )

    @override
    async def ListQueues(self, request: ListQueuesRequest, context: Context) -> ListQueuesResponse:
        return ListQueuesResponse(queues=[queue_to_wire(queue) for queue in self._queues.all()])

    @override
    async def PauseQueue(self, request: PauseQueueRequest, context: Context) -> PauseQueueResponse:
        queue = await self._queues.pause(request.scope, by=request.requested_by[:NAME_MAX])
        return PauseQueueResponse(queue=queue_to_wire(queue))

    @override
    async def ResumeQueue(self, request: ResumeQueueRequest, context: Context) -> ResumeQueueResponse:
        return ResumeQueueResponse(queue=queue_to_wire(await self._queues.resume(request.scope)))

    @override
    async def LimitQueue(self, request: LimitQueueRequest, context: Context) -> LimitQueueResponse:
        queue = await self._queues.limit(request.scope, limits_from_wire(request))
        return LimitQueueResponse(queue=queue_to_wire(queue))
