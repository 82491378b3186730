"""What a worker keeps on disk."""

from pathlib import Path

import pytest

from callsheet.errors import InvalidError
from callsheet.v1.lease_service_pb2 import Completed, LeaseRef, Result
from callsheet.worker.stream.spool import Spool


def result(token: int, job_id: str = "01890a5d-ac96-774b-bcce-000000000001") -> Result:
    return Result(lease=LeaseRef(job_id=job_id, token=token), completed=Completed(result_json="{}"))


def reopened(spool: Spool, folder: Path) -> Spool:
    spool.close()
    return Spool(folder)


def test_kept_results_outlive_the_process_until_they_are_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.keep(result(1))
    spool.keep(result(2))

    spool = reopened(spool, tmp_path / "spool")
    assert spool.load() == [result(1), result(2)]
    spool.drop([result(1), result(3)])

    spool = reopened(spool, tmp_path / "spool")
    assert spool.load() == [result(2)]
    spool.close()


def test_worker_keeps_its_identity_as_long_as_it_keeps_its_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first = spool.identity("atlas/7-cpu")

    spool = reopened(spool, tmp_path)

    assert spool.identity("other-gpu") == first
    assert first.startswith("atlas-7-cpu-")
    spool.close()


def test_damaged_identity_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "identity").write_bytes(b"\xff\x00 no identity")
    spool = Spool(tmp_path)

    assert spool.identity("atlas-cpu").startswith("atlas-cpu-")
    spool.close()


def test_damaged_result_is_put_aside_and_the_others_are_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.keep(result(1))
    spool.keep(result(2))
    damaged = tmp_path / "01890a5d-ac96-774b-bcce-000000000001.0000000000000001.result"
    damaged.write_bytes(b"\xff\xff\xff")

    spool = reopened(spool, tmp_path)

    assert spool.load() == [result(2)]
    assert damaged.with_suffix(".damaged").exists()
    spool.close()


def test_job_id_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")

    spool.keep(result(1, job_id="../outside"))

    assert [path.name for path in tmp_path.rglob("*")] == ["spool", "lock"]
    spool.close()


def test_spool_in_use_and_spool_that_cannot_be_made_are_refused_with_the_remedy(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    (tmp_path / "file").touch()

    with pytest.raises(InvalidError, match=r"CALLSHEET_SPOOL: another worker uses .*folder of its own"):
        Spool(tmp_path / "spool")
    with pytest.raises(InvalidError, match=r"CALLSHEET_SPOOL: .* cannot be written .*name a folder that can"):
        Spool(tmp_path / "file" / "spool")
    spool.close()
