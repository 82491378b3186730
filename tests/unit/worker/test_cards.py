"""What a worker's session says of its cards."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from callsheet.v1.lease_service_pb2 import (
    DeviceReading,
    Grant,
    Heartbeat,
    Hello,
    LeaseRef,
    Result,
    Returned,
    Revoke,
    Welcome,
    WorkResponse,
)
from callsheet.worker.stream.commands import HangUp
from callsheet.worker.stream.devices import READING_LIMIT_S, Device, GpuProcess, Look, Reading, SeenDevice
from callsheet.worker.stream.session import Session

AT = Timestamp(seconds=1)
WORKER = 100
WELCOME = Welcome(
    lease_ttl=Duration(seconds=30), heartbeat_interval=Duration(seconds=6), orphan_limit=Duration(seconds=900)
)
ATLAS = Device(uuid="GPU-a", index=0, name="Tesla", capacity_mib=16_000, driver="580", encoder_sessions_max=8)
BOREAS = Device(uuid="GPU-b", index=1, name="Tesla", capacity_mib=24_000, driver="580")
LEASE = LeaseRef(job_id="job-1", token=1)
READING = Reading(
    used_mib=3000,
    processes=[
        GpuProcess(pid=7, used_mib=1000, lineage=frozenset({7, WORKER, 1})),
        GpuProcess(pid=8, used_mib=2000, lineage=frozenset({8, 1})),
    ],
    encoder_pids=[7, 8],
    utilisation_percent=55,
    temperature_c=70,
)


def look(*devices: SeenDevice, at: float = 0.0, problem: str = "") -> Look:
    return Look(at=at, devices=devices, problem=problem, worker_pid=WORKER)


def seen(device: Device = ATLAS, reading: Reading = READING) -> SeenDevice:
    return SeenDevice(device=device, reading=reading)


def live(*looks: Look, software: bool = False) -> tuple[Session, Hello]:
    """A session that was welcomed after it saw these, and the hello that it said."""
    session = Session(Hello(worker_id="w", slots=2, software_gpu=software), now=0.0)
    for one in looks:
        assert session.looked(one) == []
    hello = Hello()
    hello.CopyFrom(session.stream_opened(0.0).hello)
    session.received(WorkResponse(welcome=WELCOME), 0.0, AT)
    return session, hello


def heartbeat(session: Session, now: float = 0.0) -> Heartbeat:
    session.pulse.hasten()
    request = session.flush(now, load=0.0)
    assert request is not None
    return request.heartbeat


def granted(session: Session, device: Device = ATLAS) -> None:
    grant = Grant(lease=LEASE, device_uuid=device.uuid, vram_mib=1000)
    session.received(WorkResponse(grants=[grant]), 0.0, AT)


def test_hello_names_the_cards() -> None:
    _, hello = live(look(seen(), seen(BOREAS)))

    first, second = hello.devices
    assert (first.uuid, first.index, first.name) == ("GPU-a", 0, "Tesla")
    assert (first.memory_mib, first.driver, first.encoder_sessions_max) == (16_000, "580", 8)
    assert not second.HasField("encoder_sessions_max")


def test_heartbeat_tells_what_is_used_and_by_whom() -> None:
    session, _ = live(look(seen()))

    assert list(heartbeat(session).devices) == [
        DeviceReading(
            uuid="GPU-a",
            used_mib=3000,
            ours_mib=1000,
            encoder_sessions=2,
            utilization_percent=55,
            temperature_c=70,
            memory_mib=16_000,
        )
    ]


def test_unknown_figures_stay_unset() -> None:
    session, _ = live(look(seen(reading=Reading(used_mib=3000))))

    assert list(heartbeat(session).devices) == [DeviceReading(uuid="GPU-a", used_mib=3000, memory_mib=16_000)]


def test_old_look_is_never_told_as_new() -> None:
    session, _ = live(look(seen()))

    (fresh,) = heartbeat(session, READING_LIMIT_S).devices
    (old,) = heartbeat(session, READING_LIMIT_S + 2).devices

    assert fresh.used_mib == 3000
    assert old == DeviceReading(uuid="GPU-a", problem="the driver has not answered for 12 s")


def test_card_that_went_is_told_and_stays_in_the_hello() -> None:
    session, _ = live(look(seen(), seen(BOREAS)))
    gone = SeenDevice(device=ATLAS, gone=True, problem="the card has left the bus")

    assert session.looked(look(gone, seen(BOREAS), at=1.0)) == []

    first, second = heartbeat(session, 1.0).devices
    assert first == DeviceReading(uuid="GPU-a", gone=True, problem="the card has left the bus")
    assert second.used_mib == 3000
    assert [device.uuid for device in session.stream_opened(2.0).hello.devices] == ["GPU-a", "GPU-b"]


def test_trouble_is_told_without_waiting_for_the_next_heartbeat() -> None:
    session, _ = live(look(seen()))
    heartbeat(session)
    session.looked(look(seen(), at=0.5))
    assert not session.pulse.due(0.5)

    session.looked(look(SeenDevice(device=ATLAS, gone=True, problem="the card has left the bus"), at=1.0))
    assert session.pulse.due(1.0)
    heartbeat(session, 1.0)
    session.looked(look(seen(), at=1.5))
    assert session.pulse.due(1.5)


def test_card_that_appears_is_told_by_a_new_stream_to_the_same_scheduler() -> None:
    session, hello = live(look(problem="no driver"), software=True)
    assert hello.software_gpu

    (command,) = session.looked(look(seen(), at=1.0))
    assert isinstance(command, HangUp)
    assert not command.unheard
    session.stream_lost(1.0, jitter=0.0)
    again = session.stream_opened(1.0).hello

    assert [device.uuid for device in again.devices] == ["GPU-a"]
    assert not again.software_gpu
    assert session.looked(look(seen(), at=2.0)) == []


def test_worker_without_cards_says_nothing_of_any() -> None:
    session, hello = live(look(problem="no driver"))

    assert not hello.devices
    assert not heartbeat(session).devices


def test_lease_holds_its_card_until_its_attempt_has_ended_even_a_stale_one() -> None:
    session, _ = live(look(seen(), seen(BOREAS)))
    granted(session)
    (first, second) = heartbeat(session).devices
    assert (list(first.held), list(second.held)) == ([LEASE], [])

    session.received(WorkResponse(revokes=[Revoke(lease=LEASE)]), 0.0, AT)
    assert list(heartbeat(session).devices[0].held) == [LEASE]

    session.attempt_ended(("job-1", 1), Result(lease=LEASE, ended_at=AT, returned=Returned(reason="")))
    assert list(heartbeat(session).devices[0].held) == []


def test_old_look_still_tells_which_leases_hold_the_card() -> None:
    session, _ = live(look(seen()))
    granted(session)

    assert list(heartbeat(session, READING_LIMIT_S * 2).devices[0].held) == [LEASE]


def test_changes_are_news_once() -> None:
    session, _ = live(look(seen()))
    name = "GPU 0 (Tesla, GPU-a)"
    assert session.cards.news(0.0) == [f"{name}: can be used"]
    assert session.cards.news(1.0) == []

    session.looked(look(SeenDevice(device=ATLAS, problem="hot"), at=2.0))
    assert session.cards.news(2.0) == [f"{name}: hot"]
    assert session.cards.news(READING_LIMIT_S + 3) == [f"{name}: the driver does not answer"]
    session.looked(look(seen(), at=20.0))
    assert session.cards.news(20.0) == [f"{name}: can be used"]
    session.looked(look(seen(), at=21.0))
    assert session.cards.news(21.0) == []


def test_news_of_a_machine_without_cards_is_why() -> None:
    session, _ = live(look(problem="no driver"))

    assert session.cards.news(0.0) == ["GPUs: no driver"]
