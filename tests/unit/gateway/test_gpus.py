"""The ledger of the GPUs, as REST tells it."""

from callsheet_gateway.schemas.gpus import GpuView, gpu_view
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.fleet_service_pb2 import Allocation, DeviceAccount, DeviceState
from callsheet.v1.lease_service_pb2 import Device, LeaseRef


def account() -> DeviceAccount:
    """Return an account with one allocation and no reading."""
    return DeviceAccount(
        device=Device(uuid="GPU-1", index=1, name="A4000", driver="1"),
        host="atlas",
        state=DeviceState.DEVICE_STATE_SHRUNK,
        problem="it is small",
        capacity_mib=16_000,
        margin_mib=512,
        allocated_mib=8_000,
        free_mib=7_488,
        workers=["w1"],
        allocations=[
            Allocation(
                lease=LeaseRef(job_id="j", token=1),
                type="label",
                worker_id="w0",
                vram_mib=8_000,
                lingering=True,
                charged_at=Timestamp(seconds=1_771_000_000),
            )
        ],
    )


def test_account_without_a_reading_shows_nothing_as_seen() -> None:
    view = gpu_view(account()).model_dump(by_alias=True)
    seen = {name for name, value in view.items() if value is None}
    assert seen == {
        *("observedMb", "foreignMb", "utilizationPercent", "temperatureC", "readAt", "encoderSessionsMax")
    }
    assert (view["state"], view["capacityMb"], view["freeMb"]) == ("shrunk", 16_000, 7_488)
    assert view["allocations"] == [
        {
            "jobId": "j",
            "type": "label",
            "workerId": "w0",
            "vramMb": 8_000,
            "encoderSessions": 0,
            "lingering": True,
            "chargedAt": "2026-02-13T16:26:40.000Z",
        }
    ]


def test_account_with_a_reading_shows_it() -> None:
    seen = account()
    seen.read_at.FromSeconds(1_771_000_000)
    seen.observed_mib, seen.temperature_c = 0, 61
    seen.device.encoder_sessions_max = 0
    view: GpuView = gpu_view(seen)
    assert (view.observed_mb, view.temperature_c, view.encoder_sessions_max) == (0, 61, 0)
