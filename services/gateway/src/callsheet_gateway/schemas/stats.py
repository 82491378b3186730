"""Counts of the whole queue as REST has them."""

from collections.abc import Iterable
from typing import Final

from pydantic import Field, JsonValue

from callsheet.v1.fleet_service_pb2 import DeviceAccount
from callsheet.v1.job_service_pb2 import GetStatsResponse
from callsheet_gateway.schemas.jobs import Category, category_of, status_of
from callsheet_gateway.schemas.shared import Camel

_CPU_EXAMPLE: Final[dict[str, JsonValue]] = {
    "pending": 12,
    "queued": 2,
    "running": 3,
    "completed": 1458,
    "failed": 23,
    "cancelled": 4,
    "paused": 1,
}
_NONE_EXAMPLE: Final[dict[str, JsonValue]] = dict.fromkeys(_CPU_EXAMPLE, 0)
STATS_EXAMPLE: Final[dict[str, JsonValue]] = {
    **_CPU_EXAMPLE,
    "totalVramUsed": 12000,
    "totalVramAvailable": 16376,
    "averageProcessingTime": 245.0,
    "jobsByType": {"reencode_streaming": 45, "scan": 8, "compile_random": 12},
    "perCategory": {"cpu": _CPU_EXAMPLE, "gpu_encode": _NONE_EXAMPLE, "gpu_ai": _NONE_EXAMPLE},
    "perGpu": [
        {
            "uuid": "GPU-5b1c0c7e-6f0f-4b1e-9d3c-2a7f2c1d9e44",
            "name": "NVIDIA RTX A4000",
            "host": "atlas",
            "vramUsed": 12000,
            "vramAvailable": 16376,
        }
    ],
    "throughput": {"completedLastHour": 37},
}


class StatusCounts(Camel):
    """Jobs by status, all kept history included."""

    pending: int = 0
    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    paused: int = 0


class GpuVram(Camel):
    """How much of a card is taken."""

    uuid: str = Field(examples=["GPU-5b1c0c7e-6f0f-4b1e-9d3c-2a7f2c1d9e44"])
    name: str = Field(examples=["NVIDIA RTX A4000"])
    host: str = Field(examples=["atlas"])
    vram_used: int = Field(description="MB held by running jobs.", examples=[8000])
    vram_available: int = Field(description="MB of the whole card.", examples=[16376])


class Throughput(Camel):
    """How much gets done."""

    completed_last_hour: int


class JobStats(StatusCounts):
    """Counts of the whole queue."""

    total_vram_used: int = Field(description="MB held by running jobs.")
    total_vram_available: int = Field(description="MB of all cards together.")
    average_processing_time: float = Field(
        description="Seconds, of jobs completed in the last 24 h; 0 for none."
    )
    jobs_by_type: dict[str, int] = Field(description="Jobs created in the last 24 h.", examples=[{"scan": 8}])
    per_category: dict[Category, StatusCounts]
    per_gpu: list[GpuVram] = Field(description="By host and number.")
    throughput: Throughput


def stats_view(stats: GetStatsResponse, gpus: Iterable[DeviceAccount]) -> JobStats:
    """Return the counts."""
    totals: dict[str, int] = {}
    by_category: dict[Category, dict[str, int]] = {category: {} for category in Category}
    for entry in stats.states:
        status = status_of(entry.state).value
        of_category = by_category[category_of(entry.category)]
        totals[status] = totals.get(status, 0) + entry.count
        of_category[status] = of_category.get(status, 0) + entry.count
    return JobStats(
        **totals,
        total_vram_used=stats.vram_allocated_mib,
        total_vram_available=stats.vram_capacity_mib,
        average_processing_time=round(stats.mean_run_s, 3),
        jobs_by_type=dict(stats.created_by_type),
        per_category={category: StatusCounts(**counts) for category, counts in by_category.items()},
        per_gpu=[
            GpuVram(
                uuid=gpu.device.uuid,
                name=gpu.device.name,
                host=gpu.host,
                vram_used=gpu.allocated_mib,
                vram_available=gpu.capacity_mib,
            )
            for gpu in gpus
        ],
        throughput=Throughput(completed_last_hour=stats.completed_last_hour),
    )
