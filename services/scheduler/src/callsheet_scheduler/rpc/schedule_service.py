"""ScheduleService: translate in, call, translate out."""

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.v1 import job_pb2
from callsheet.v1.schedule_service_pb2 import (
    AddScheduleRequest,
    AddScheduleResponse,
    ChangeScheduleRequest,
    ChangeScheduleResponse,
    GetScheduleRequest,
    GetScheduleResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
    PauseScheduleRequest,
    PauseScheduleResponse,
    RemoveScheduleRequest,
    RemoveScheduleResponse,
    ResumeScheduleRequest,
    ResumeScheduleResponse,
    RunScheduleRequest,
    RunScheduleResponse,
    Schedule,
)
from callsheet.v1.schedule_service_pb2_grpc import ScheduleServiceServicer
from callsheet_scheduler.rpc.convert import instant_to_wire
from callsheet_scheduler.rpc.schedule_convert import added_from_wire, changed_from_wire, schedule_to_wire
from callsheet_scheduler.use_cases.schedules import Schedules

Context = grpc.aio.ServicerContext[Message, Message]


class ScheduleService(ScheduleServiceServicer):
    """What is submitted again and again."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    @override
    async def ListSchedules(self, request: ListSchedulesRequest, context: Context) -> ListSchedulesResponse:
        return ListSchedulesResponse(schedules=[schedule_to_wire(*one) for one in self._schedules.all()])

    @override
    async def GetSchedule(self, request: GetScheduleRequest, context: Context) -> GetScheduleResponse:
        return GetScheduleResponse(schedule=self._told(request.name))

    @override
    async def AddSchedule(self, request: AddScheduleRequest, context: Context) -> AddScheduleResponse:
        await self._schedules.add(request.name, added_from_wire(request))
        return AddScheduleResponse(schedule=self._told(request.name))

    @override
    async def ChangeSchedule(
        self, request: ChangeScheduleRequest, context: Context
    ) -> ChangeScheduleResponse:
        await self._schedules.change(request.name, changed_from_wire(request))
        return ChangeScheduleResponse(schedule=self._told(request.name))

    @override
    async def PauseSchedule(self, request: PauseScheduleRequest, context: Context) -> PauseScheduleResponse:
        await self._schedules.pause(request.name)
        return PauseScheduleResponse(schedule=self._told(request.name))

    @override
    async def ResumeSchedule(
        self, request: ResumeScheduleRequest, context: Context
    ) -> ResumeScheduleResponse:
        await self._schedules.resume(request.name)
        return ResumeScheduleResponse(schedule=self._told(request.name))

    @override
    async def RunSchedule(self, request: RunScheduleRequest, context: Context) -> RunScheduleResponse:
        job = await self._schedules.run(request.name, request.job_id)
        return RunScheduleResponse(
            job_id=job.id,
            state=job_pb2.JobState.ValueType(job.state),
            created_at=instant_to_wire(job.created_at),
        )

    @override
    async def RemoveSchedule(
        self, request: RemoveScheduleRequest, context: Context
    ) -> RemoveScheduleResponse:
        return RemoveScheduleResponse(existed=await self._schedules.remove(request.name))

    def _told(self, name: str) -> Schedule:
        return schedule_to_wire(*self._schedules.get(name))
