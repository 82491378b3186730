"""The doctor says of each thing that it is well, or what to do."""

from datetime import timedelta
from pathlib import Path

from callsheet import doctor
from callsheet.client import Client, Patience
from callsheet.identities import Role
from callsheet.service.clock import SystemClock
from callsheet.service.settings import AnyRootSettings, RootSettings
from callsheet.tls import TlsFolder
from callsheet.v1.fleet_service_pb2 import ListWorkersResponse, Worker
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
        found = await doctor.scheduler(client)

    assert [(one.what, bool(one.remedy)) for one in found] == [("scheduler", False), ("workers", True)]


async def test_scheduler_that_does_not_answer_is_named_with_the_remedy(tmp_path: Path) -> None:
    async with Client("127.0.0.1:1", tls=Certificates(tmp_path).tls(Role.OPERATOR), patience=ONCE) as client:
        (found,) = await doctor.scheduler(client)

    assert found.what == "scheduler"
    assert "no answer from the scheduler at 127.0.0.1:1" in found.said
    assert found.remedy
