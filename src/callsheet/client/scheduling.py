"""What the client asks of schedules."""

from collections.abc import Sequence

from callsheet.client.wire import Wire
from callsheet.ids import new_job_id
from callsheet.v1.schedule_service_pb2 import (
    AddScheduleRequest,
    ChangeScheduleRequest,
    GetScheduleRequest,
    ListSchedulesRequest,
    PauseScheduleRequest,
    RemoveScheduleRequest,
    RemoveScheduleResponse,
    ResumeScheduleRequest,
    RunScheduleRequest,
    RunScheduleResponse,
    Schedule,
)


class Scheduling(Wire):
    """Jobs that are submitted again and again. Every method is safe to repeat."""

    async def schedules(self) -> Sequence[Schedule]:
        """Return every schedule by name."""
        return (await self._repeating.call(self._schedules.ListSchedules, ListSchedulesRequest())).schedules

    async def schedule(self, name: str) -> Schedule:
        """Return one schedule."""
        request = GetScheduleRequest(name=name)
        return (await self._repeating.call(self._schedules.GetSchedule, request)).schedule

    async def add_schedule(self, wanted: AddScheduleRequest) -> Schedule:
        """Keep a new schedule and return it; `ConflictError` where another one has its name."""
        return (await self._repeating.call(self._schedules.AddSchedule, wanted)).schedule

    async def change_schedule(self, wanted: ChangeScheduleRequest) -> Schedule:
        """Change what is set in *wanted*, and return the schedule."""
        return (await self._repeating.call(self._schedules.ChangeSchedule, wanted)).schedule

    async def pause_schedule(self, name: str) -> Schedule:
        """Have nothing submitted until it is resumed, and return the schedule."""
        request = PauseScheduleRequest(name=name)
        return (await self._repeating.call(self._schedules.PauseSchedule, request)).schedule

    async def resume_schedule(self, name: str) -> Schedule:
        """Let a schedule go on from its next tick, and return it."""
        request = ResumeScheduleRequest(name=name)
        return (await self._repeating.call(self._schedules.ResumeSchedule, request)).schedule

    async def run_schedule(self, name: str) -> RunScheduleResponse:
        """Submit the job of a schedule now."""
        request = RunScheduleRequest(name=name, job_id=new_job_id())
        return await self._repeating.call(self._schedules.RunSchedule, request)

    async def remove_schedule(self, name: str) -> bool:
        """Forget a schedule; return whether there was one."""

        async def repeated(_: RemoveScheduleResponse) -> RemoveScheduleResponse:
            return RemoveScheduleResponse(existed=True)  # the try before may have removed it

        request = RemoveScheduleRequest(name=name)
        answer = await self._repeating.call(
            self._schedules.RemoveSchedule, request, after_repetition=repeated
        )
        return answer.existed
