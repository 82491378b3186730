"""Counts of the whole queue as REST has them."""

from pydantic import Field

from callsheet.v1.job_service_pb2 import GetStatsResponse
from callsheet_gateway.schemas.jobs import Category, category_of, status_of
from callsheet_gateway.schemas.shared import Camel


class StatusCounts(Camel):
    """Jobs by status, all kept history included."""

    pending: int = 0
    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    paused: int = 0


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
    throughput: Throughput


def stats_view(stats: GetStatsResponse) -> JobStats:
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
        throughput=Throughput(completed_last_hour=stats.completed_last_hour),
    )
