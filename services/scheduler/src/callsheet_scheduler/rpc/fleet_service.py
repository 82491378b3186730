"""FleetService: translate in, call, translate out."""

import grpc
from typing_extensions import override

from callsheet.v1.fleet_service_pb2 import HostLimit, ListWorkersRequest, ListWorkersResponse
from callsheet.v1.fleet_service_pb2_grpc import FleetServiceServicer
from callsheet.v1.job_pb2 import ResourceCategory
from callsheet_scheduler.rpc.convert import worker_to_wire
from callsheet_scheduler.use_cases.fleet import FleetView

Context = grpc.aio.ServicerContext[ListWorkersRequest, ListWorkersResponse]


class FleetService(FleetServiceServicer):
    """What runs where."""

    def __init__(self, fleet: FleetView) -> None:
        self._fleet = fleet

    @override
    async def ListWorkers(self, request: ListWorkersRequest, context: Context) -> ListWorkersResponse:
        return ListWorkersResponse(
            workers=[worker_to_wire(worker) for worker in self._fleet.workers()],
            limits=[
                HostLimit(category=ResourceCategory.ValueType(category), limit=limit)
                for category, limit in self._fleet.rules().host_limits.items()
            ],
        )
