"""A job type as a scheduler knows it, for tests to make others of."""

from typing import Final

from callsheet_scheduler.domain.job_type import KnownType

from callsheet.catalog import Category

NOOP: Final = KnownType(
    name="noop", description="", category=Category.CPU, vram_mib=0, run_limit_s=60, params_schema="{}"
)
