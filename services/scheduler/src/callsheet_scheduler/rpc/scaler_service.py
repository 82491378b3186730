"""KEDA's external scaler: how many workers are wanted."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from callsheet.errors import InvalidError
from callsheet.v1.externalscaler_pb2 import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
)
from callsheet.v1.externalscaler_pb2_grpc import ExternalScalerServicer
from callsheet_scheduler.domain.demand import Addable, Demand
from callsheet_scheduler.use_cases.scaling import Scaling, addable

Context = grpc.aio.ServicerContext[Message, Message]

SLOTS: Final = "demand_slots"
VRAM: Final = "demand_vram_mb"

#: Seconds between two looks at memory for those who want changes pushed.
LOOK_S: Final = 0.25


class ScalerService(ExternalScalerServicer):
    """Answers from the leader's memory."""

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling

    @override
    async def IsActive(self, request: ScaledObjectRef, context: Context) -> IsActiveResponse:
        demand = self._scaling.demand(addable(request.scalerMetadata))
        return IsActiveResponse(result=demand.slots > 0)

    @override
    async def StreamIsActive(
        self, request: ScaledObjectRef, context: Context
    ) -> AsyncGenerator[IsActiveResponse, None]:
        workers = addable(request.scalerMetadata)
        told: bool | None = None
        while True:
            active = self._scaling.demand(workers).slots > 0
            if active is not told:
                told = active
                yield IsActiveResponse(result=active)
            await asyncio.sleep(LOOK_S)

    @override
    async def GetMetricSpec(self, request: ScaledObjectRef, context: Context) -> GetMetricSpecResponse:
        targets = _targets(addable(request.scalerMetadata))
        return GetMetricSpecResponse(
            metricSpecs=[
                MetricSpec(metricName=name, targetSize=target, targetSizeFloat=float(target))
                for name, target in targets.items()
            ]
        )

    @override
    async def GetMetrics(self, request: GetMetricsRequest, context: Context) -> GetMetricsResponse:
        workers = addable(request.scaledObjectRef.scalerMetadata)
        names = [request.metricName] if request.metricName else list(_targets(workers))
        values = _values(self._scaling.demand(workers))
        if unknown := [name for name in names if name not in _targets(workers)]:
            message = f"there is no metric {unknown[0][:64]!r}; there are {', '.join(_targets(workers))}"
            raise InvalidError(message, field="metricName")
        return GetMetricsResponse(
            metricValues=[
                MetricValue(metricName=name, metricValue=values[name], metricValueFloat=float(values[name]))
                for name in names
            ]
        )


def _targets(workers: Addable) -> dict[str, int]:
    """Return how much of each metric one worker takes."""
    vram = {} if workers.vram_mib is None else {VRAM: workers.vram_mib}
    return {SLOTS: workers.slots, **vram}


def _values(demand: Demand) -> dict[str, int]:
    return {SLOTS: demand.slots, VRAM: demand.vram_mib}
