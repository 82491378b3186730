"""The ledger of the GPUs as REST has it. MB means MiB, as in the documents."""

from typing import Final, Literal

from pydantic import Field, JsonValue

from callsheet.v1.fleet_service_pb2 import Allocation, DeviceAccount, DeviceSample, DeviceState
from callsheet_gateway.schemas.shared import Camel, Instant, Question, instant, instant_or_none

State = Literal["ok", "shrunk", "vanished", "unreached"]

STATES: Final[dict[int, State]] = {
    DeviceState.DEVICE_STATE_OK: "ok",
    DeviceState.DEVICE_STATE_SHRUNK: "shrunk",
    DeviceState.DEVICE_STATE_VANISHED: "vanished",
    DeviceState.DEVICE_STATE_UNREACHED: "unreached",
}

GPU_EXAMPLE: Final[dict[str, JsonValue]] = {
    "uuid": "GPU-5b1c0c7e-6f0f-4b1e-9d3c-2a7f2c1d9e44",
    "host": "atlas",
    "index": 0,
    "name": "NVIDIA RTX A4000",
    "driver": "570.86.15",
    "state": "ok",
    "problem": None,
    "capacityMb": 16376,
    "marginMb": 512,
    "allocatedMb": 8000,
    "observedMb": 7412,
    "foreignMb": 350,
    "freeMb": 7514,
    "encoderSessions": 1,
    "encoderSessionsMax": 8,
    "utilizationPercent": 87,
    "temperatureC": 61,
    "readAt": "2026-02-13T10:30:00.000Z",
    "workers": ["atlas-gpu-77b2"],
    "allocations": [
        {
            "jobId": "019c5684-0b2f-7cc1-a1a8-2f6b2a4f8d10",
            "type": "tag_generation",
            "workerId": "atlas-gpu-77b2",
            "vramMb": 8000,
            "encoderSessions": 0,
            "lingering": False,
            "chargedAt": "2026-02-13T10:29:11.000Z",
        }
    ],
    "history": [
        {"at": "2026-02-13T10:29:00.000Z", "allocatedMb": 8000, "observedMb": 7398, "foreignMb": 350}
    ],
}


MINUTES_MAX: Final = 1440


class GpusQuestion(Question):
    """How much of the past to show."""

    history_minutes: int = Field(default=0, ge=0, le=MINUTES_MAX, description="So many of the last minutes.")


class AllocationView(Camel):
    """A share of a GPU that is charged to an attempt."""

    job_id: str
    type: str = Field(description="The job's type; empty where the job is over and the allocation lingers.")
    worker_id: str = Field(description="The worker that holds or held it.")
    vram_mb: int
    encoder_sessions: int
    lingering: bool = Field(
        description="The attempt is over, but nothing proves yet that its memory is free."
    )
    charged_at: Instant


class GpuMoment(Camel):
    """How the account of a GPU stood in one minute."""

    at: Instant = Field(description="When the minute began.")
    allocated_mb: int = Field(description="Charged to attempts.")
    observed_mb: int | None = Field(description="What our jobs used; null without a fresh reading.")
    foreign_mb: int | None = Field(description="What others used; null without a fresh reading.")


class GpuView(Camel):
    """The account of one GPU: free = capacity - margin - max(allocated, observed) - foreign."""

    uuid: str
    host: str
    index: int = Field(description="Its number on the host.")
    name: str
    driver: str
    state: State = Field(
        description="shrunk: it has less memory than is charged; vanished: its driver does not know it any "
        "more; unreached: no connected worker reaches it."
    )
    problem: str | None = Field(description="Why it cannot be used; null when all is well.")
    capacity_mb: int = Field(description="Its whole memory.")
    margin_mb: int = Field(description="Given to no job.")
    allocated_mb: int = Field(description="Charged to attempts.")
    observed_mb: int | None = Field(description="What our jobs use; null without a fresh reading.")
    foreign_mb: int | None = Field(description="What others use; null without a fresh reading.")
    free_mb: int = Field(description="What a job can be given now.")
    encoder_sessions: int = Field(description="Encoder sessions that are charged to attempts.")
    encoder_sessions_max: int | None = Field(description="0: it cannot encode; null: no limit.")
    utilization_percent: int | None
    temperature_c: int | None
    read_at: Instant | None = Field(description="When it was last read; null without a fresh reading.")
    workers: list[str] = Field(description="The workers that reach it.")
    allocations: list[AllocationView] = Field(description="What it is charged with, oldest first.")
    history: list[GpuMoment] = Field(
        description="The minutes that `historyMinutes` asks for, oldest first. One in which no scheduler led "
        "is left out."
    )


class GpuList(Camel):
    """The ledger."""

    data: list[GpuView] = Field(
        description="Every GPU that a worker reaches or an attempt is charged to, by host and number."
    )


def gpu_view(account: DeviceAccount) -> GpuView:
    """Return the account of one GPU."""
    device, is_fresh = account.device, account.HasField("read_at")
    return GpuView(
        uuid=device.uuid,
        host=account.host,
        index=device.index,
        name=device.name,
        driver=device.driver,
        state=STATES.get(account.state, "ok"),
        problem=account.problem or None,
        capacity_mb=account.capacity_mib,
        margin_mb=account.margin_mib,
        allocated_mb=account.allocated_mib,
        observed_mb=account.observed_mib if is_fresh else None,
        foreign_mb=account.foreign_mib if is_fresh else None,
        free_mb=account.free_mib,
        encoder_sessions=account.encoder_sessions,
        encoder_sessions_max=(
            device.encoder_sessions_max if device.HasField("encoder_sessions_max") else None
        ),
        utilization_percent=account.utilization_percent if is_fresh else None,
        temperature_c=account.temperature_c if is_fresh else None,
        read_at=instant_or_none(account.read_at),
        workers=list(account.workers),
        allocations=[_allocation_view(allocation) for allocation in account.allocations],
        history=[_moment(sample) for sample in account.history],
    )


def _moment(sample: DeviceSample) -> GpuMoment:
    return GpuMoment(
        at=instant(sample.at),
        allocated_mb=sample.allocated_mib,
        observed_mb=sample.observed_mib if sample.HasField("observed_mib") else None,
        foreign_mb=sample.foreign_mib if sample.HasField("foreign_mib") else None,
    )


def _allocation_view(allocation: Allocation) -> AllocationView:
    return AllocationView(
        job_id=allocation.lease.job_id,
        type=allocation.type,
        worker_id=allocation.worker_id,
        vram_mb=allocation.vram_mib,
        encoder_sessions=allocation.encoder_sessions,
        lingering=allocation.lingering,
        charged_at=instant(allocation.charged_at),
    )
