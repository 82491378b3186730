"""``callsheet certs`` in folders of a test."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest
from typer.testing import CliRunner

from callsheet.authority import issue_into, make_authority, read_authority
from callsheet.cli.certs import app
from callsheet.errors import ConflictError
from callsheet.identities import Identity, Role
from callsheet.service.clock import SystemClock
from callsheet.tls import CERTIFICATE_FILE, read_credentials
from tests.support.certificates import A_DAY

ResultT = TypeVar("ResultT")
AT_ONCE = 8


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return made_ca(tmp_path / "ca")


def made_ca(folder: Path) -> Path:
    assert CliRunner().invoke(app, ["init", str(folder)]).exit_code == 0
    return folder


def issued(into: Path, ca: Path, *more: str, name: str = "atlas") -> tuple[bytes, int]:
    """Issue a worker's certificate, and return what then lies there with the exit status."""
    arguments = ["issue", "worker", name, "--ca", str(ca), "--into", str(into), *more]
    code = CliRunner().invoke(app, arguments).exit_code
    return (into / CERTIFICATE_FILE).read_bytes(), code


def test_a_certificate_that_holds_long_enough_is_left_alone(ca: Path, tmp_path: Path) -> None:
    into = tmp_path / "atlas"
    first, _ = issued(into, ca, "--unless-days", "30")

    assert issued(into, ca, "--unless-days", "30") == (first, 0)


def test_a_certificate_that_ends_soon_is_renewed(ca: Path, tmp_path: Path) -> None:
    into = tmp_path / "atlas"
    first, _ = issued(into, ca, "--days", "20")
    second, code = issued(into, ca, "--unless-days", "30")

    assert (code, second == first) == (0, False)


def test_a_certificate_of_another_ca_is_replaced(ca: Path, tmp_path: Path) -> None:
    into = tmp_path / "atlas"
    issued(into, made_ca(tmp_path / "old"))
    _, code = issued(into, ca, "--unless-days", "30")

    assert code == 0
    assert read_credentials(into).ca == (ca / "ca.crt").read_bytes()


def test_a_certificate_of_somebody_else_stays_and_is_a_failure(ca: Path, tmp_path: Path) -> None:
    into = tmp_path / "atlas"
    first, _ = issued(into, ca)
    second, code = issued(into, ca, "--unless-days", "30", name="boreas")

    assert second == first
    assert code != 0


def at_once(do: Callable[[], ResultT]) -> list[ResultT]:
    """Do something in so many threads, all of which begin together."""
    together = Barrier(AT_ONCE)

    def begin(_: int) -> ResultT:
        together.wait()
        return do()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(begin, range(AT_ONCE)))


def test_of_many_who_renew_a_certificate_at_once_one_does(ca: Path, tmp_path: Path) -> None:
    into, now = tmp_path / "atlas", SystemClock().now()
    atlas = Identity.named(Role.WORKER, "atlas")
    issue_into(into, read_authority(ca), atlas, now=now, life=A_DAY)

    def renew() -> bool:
        life, spare = 90 * A_DAY, 30 * A_DAY
        return issue_into(into, read_authority(ca), atlas, now=now, life=life, spare=spare) is None

    assert sum(at_once(renew)) == 1
    assert read_credentials(into).ends_at - now > 30 * A_DAY


def test_of_many_who_make_a_ca_at_once_one_does(tmp_path: Path) -> None:
    def make() -> bool:
        try:
            make_authority(tmp_path / "ca", now=SystemClock().now(), life=A_DAY)
        except ConflictError:
            return False
        return True

    assert sum(at_once(make)) == 1
    read_authority(tmp_path / "ca")
