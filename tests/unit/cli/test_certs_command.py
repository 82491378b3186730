"""``callsheet certs`` in folders of a test."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsheet.cli.certs import app
from callsheet.tls import CERTIFICATE_FILE, read_credentials


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
