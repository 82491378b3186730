"""Settings that cannot work are refused with the name of the variable."""

from pathlib import Path

import pytest
from callsheet_gateway.secret_files import read_secret
from callsheet_gateway.server import listen
from callsheet_gateway.settings import GatewaySettings
from pydantic import ValidationError

from callsheet.errors import InvalidError

SETTING = "CALLSHEET_ADMIN_TOKEN_FILE"


@pytest.mark.parametrize(
    "listen", ["8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", ":80", "a:-1", "a:٣"]
)
def test_address_without_host_or_port_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="must be host:port"):
        GatewaySettings(listen=listen)


@pytest.mark.parametrize(
    ("listen", "address"), [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8080", ("::1", 8080))]
)
def test_address_is_host_and_port(listen: str, address: tuple[str, int]) -> None:
    assert GatewaySettings(listen=listen).address == address


def test_wait_for_a_miss_must_end_before_the_request_does() -> None:
    with pytest.raises(ValidationError, match="CALLSHEET_REQUEST_DEADLINE_S"):
        GatewaySettings(miss_wait_s=30, request_deadline_s=30)
    assert GatewaySettings(miss_wait_s=29, request_deadline_s=30).miss_wait_s == 29


def test_taken_port_is_named() -> None:
    with listen(GatewaySettings(listen="127.0.0.1:0")) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidError, match=f"127.0.0.1:{port}: the port is taken"):
            listen(GatewaySettings(listen=f"127.0.0.1:{port}"))


def test_address_of_another_machine_is_named() -> None:
    with pytest.raises(InvalidError, match=r"cannot listen on 192\.0\.2\.1:0"):
        listen(GatewaySettings(listen="192.0.2.1:0"))
    with pytest.raises(InvalidError, match="CALLSHEET_LISTEN"):
        listen(GatewaySettings(listen="no such host:0"))


def test_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t" * 43 + "\n")
    file.chmod(0o600)
    assert read_secret(file, SETTING) == "t" * 43


@pytest.mark.parametrize("content", [b"", b"short\n", "ü".encode() * 40])
def test_token_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(InvalidError, match=r"token|ADMIN_TOKEN"):
        read_secret(file, SETTING)


def test_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="CALLSHEET_ADMIN_TOKEN_FILE cannot be read"):
        read_secret(tmp_path / "none", SETTING)


def test_token_that_others_may_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text("t" * 43)
    file.chmod(0o644)
    read_secret(file, SETTING)
    assert "mode 0600" in caplog.text
    assert "ttt" not in caplog.text
