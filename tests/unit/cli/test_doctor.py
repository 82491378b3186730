"""The doctor says of each thing that it is well, or what to do."""

from datetime import datetime, timedelta
from pathlib import Path

from callsheet import doctor
from callsheet.client import Client, Patience
from callsheet.client.stamps import stamp_of
from callsheet.identities import Role
from callsheet.service.clock import SystemClock
from callsheet.service.settings import AnyRootSettings, RootSettings
from callsheet.tls import TlsFolder
from callsheet.v1.fleet_service_pb2 import ListWorkersResponse, Worker
from callsheet.v1.library_service_pb2 import Derivative, DerivativeFacts, Item, SampleItemsResponse
from tests.support.certificates import A_DAY, Certificates
from tests.support.patience import PATIENCE_S
from tests.support.scripted_services import Script, serving

ONCE = Patience(total_s=0.0, try_s=PATIENCE_S)


def test_certificate_that_ends_soon_or_has_ended_is_to_be_renewed(tmp_path: Path) -> None:
    now = SystemClock().now()
    tls = Certificates(tmp_path, now=now).tls(Role.WORKER)

    soon, ended = doctor.certificates(tls, now), doctor.certificates(tls, now + A_DAY * 2)

    assert soon.said.startswith("spiffe://callsheet/worker/atlas until ")
    assert soon.remedy == "it ends soon: renew it by `callsheet certs issue`"
    assert "ended at" in ended.said
    assert ended.remedy == "renew it by `callsheet certs issue`"
    assert doctor.certificates(None, now).remedy == ""


def test_certificate_that_holds_is_well(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    folder = certificates.issue(Role.WORKER, life=timedelta(days=20))

    assert doctor.certificates(TlsFolder(folder), SystemClock().now()).remedy == ""


def test_root_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    named: dict[str, AnyRootSettings] = {
        "gone": RootSettings(path=tmp_path / "gone"),
        "here": RootSettings(path=tmp_path / "here"),
    }

    gone, here = doctor.roots(named)

    assert gone.what == "root gone"
    assert "cannot be read: No such file or directory" in gone.said
    assert "CALLSHEET_ROOTS" in gone.remedy
    assert here.remedy == ""


async def test_program_that_is_not_ffmpeg_is_named_with_the_remedy() -> None:
    found = await doctor.ffmpeg({"CALLSHEET_FFMPEG": "/nonexistent/ffmpeg"})

    assert "CALLSHEET_FFMPEG" in found.said
    assert found.remedy
    assert (await doctor.ffmpeg({})).said.startswith("ffmpeg version")


async def test_scheduler_with_no_worker_is_well_and_lacks_one() -> None:
    script = Script()
    script.will("ListWorkers", ListWorkersResponse(workers=[Worker(id="atlas-cpu-1", connected=False)]))
    async with serving(script) as address, Client(address, patience=ONCE) as client:
        found = await doctor.scheduler(client, SystemClock().now())

    assert [(one.what, bool(one.remedy)) for one in found] == [("scheduler", False), ("workers", True)]


async def test_scheduler_that_does_not_answer_is_named_with_the_remedy(tmp_path: Path) -> None:
    async with Client("127.0.0.1:1", tls=Certificates(tmp_path).tls(Role.OPERATOR), patience=ONCE) as client:
        (found,) = await doctor.scheduler(client, SystemClock().now())

    assert found.what == "scheduler"
    assert "no answer from the scheduler at 127.0.0.1:1" in found.said
    assert found.remedy


def heard(name: str, at: datetime) -> Worker:
    return Worker(id=name, connected=True, last_heartbeat_at=stamp_of(at))


def test_clock_that_is_off_and_worker_that_is_silent_are_named() -> None:
    now = SystemClock().now()
    workers = [heard("atlas", now - timedelta(seconds=5)), heard("hermes", now - timedelta(seconds=70))]

    well, silent = doctor.signs(workers, now)
    (fast, _), (slow, _) = (doctor.signs(workers, now + A_DAY * sign) for sign in (1, -1))

    assert (well.what, well.remedy) == ("clock", "")
    assert (silent.what, silent.said) == ("worker hermes", "silent for 65 s")
    assert silent.remedy
    assert "ahead of the scheduler's" in fast.said
    assert "behind the scheduler's" in slow.said
    assert "NTP" in fast.remedy
    assert doctor.signs([], now) == []


async def test_picture_whose_file_is_cut_short_is_counted_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "whole.webp").write_bytes(b"whole")
    (tmp_path / "short.webp").write_bytes(b"sh")
    made = [
        Derivative(facts=DerivativeFacts(root=root, path=path, size_bytes=5))
        for root, path in (("made", "whole.webp"), ("made", "short.webp"), ("made", "gone.webp"), ("", ""))
    ]
    script = Script()
    script.will("SampleItems", SampleItemsResponse(items=[Item(id="1", derivatives=made)]))
    named: dict[str, AnyRootSettings] = {"made": RootSettings(path=tmp_path)}
    async with serving(script) as address, Client(address, patience=ONCE) as client:
        (found,) = await doctor.cache(client, named)

    assert found.said == "1 of 3 pictures of 1 items are whole"
    assert "callsheet cache build --force" in found.remedy


async def test_encoder_is_one_that_has_encoded() -> None:
    assert (await doctor.encoder({})).remedy == ""
    assert "libx264" in (await doctor.encoder({"CALLSHEET_FFMPEG": "/usr/bin/true-is-no-ffmpeg"})).remedy
