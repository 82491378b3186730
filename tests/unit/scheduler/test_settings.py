"""Settings with which a scheduler would be open to strangers, or not to be found, are refused."""

from pathlib import Path

import pytest
from callsheet_scheduler.settings import SchedulerSettings
from pydantic import ValidationError

from callsheet.service.run import read_settings

DSN = "postgresql:///callsheet"


def settings(**changes: object) -> SchedulerSettings:
    return SchedulerSettings.model_validate({"database_url": DSN} | changes)


@pytest.mark.parametrize("listen", ["0.0.0.0:7420", "[::]:7420", "10.0.0.1:7420", "scheduler-0:7420"])
def test_beyond_loopback_certificates_or_a_join_token_are_needed(
    listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLSHEET_DATABASE_URL", DSN)
    monkeypatch.setenv("CALLSHEET_LISTEN", listen)
    with pytest.raises(SystemExit) as ended:
        read_settings(SchedulerSettings)

    (sentence,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert sentence == (
        f"CALLSHEET_LISTEN is {listen}, which others can reach, and neither CALLSHEET_TLS_DIR nor "
        "CALLSHEET_JOIN_TOKEN_FILE is set: name a folder with certificates or a file with a token there, "
        "or listen on 127.0.0.1"
    )
    assert settings(listen=listen, join_token_file=tmp_path / "token").listen == listen
    assert settings(listen=listen, tls_dir=tmp_path).listen == listen


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.0.1:7420", "[::1]:7420", "localhost:7420"])
def test_on_loopback_no_token_is_needed(listen: str) -> None:
    assert settings(listen=listen).listen == listen


@pytest.mark.parametrize("name", ["listen", "advertise"])
@pytest.mark.parametrize("address", ["7420", "host", "host:70000", "http://host:1", "a:1,b:2", "::1:7420"])
def test_what_is_no_address_is_refused(name: str, address: str) -> None:
    with pytest.raises(ValidationError, match="must be host:port"):
        settings(**{name: address})


def test_an_address_that_nobody_else_can_reach_is_not_advertised(tmp_path: Path) -> None:
    with pytest.raises(
        ValidationError, match=r"CALLSHEET_ADVERTISE is 127\.0\.0\.1:7420, which no other machine"
    ):
        settings(listen="0.0.0.0:7420", advertise="127.0.0.1:7420", join_token_file=tmp_path / "token")


@pytest.mark.parametrize(
    ("listen", "advertise", "told"),
    [
        ("127.0.0.1:0", "", "127.0.0.1:7421"),
        ("[::1]:7420", "", "[::1]:7421"),
        ("10.0.0.1:7420", "", "10.0.0.1:7421"),
        ("0.0.0.0:7420", "", "{host}:7421"),
        ("[::]:7420", "", "{host}:7421"),
        ("0.0.0.0:7420", "scheduler-0.scheduler:7420", "scheduler-0.scheduler:7420"),
    ],
)
def test_what_is_advertised_is_where_others_reach_it(
    listen: str, advertise: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "atlas")
    found = settings(listen=listen, advertise=advertise, join_token_file=tmp_path / "token")

    assert found.advertised(7421) == told.format(host="atlas")


def test_database_is_named_in_a_file_so_that_no_environment_holds_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "database-url"
    file.write_text(f"{DSN}\n", encoding="ascii")
    monkeypatch.delenv("CALLSHEET_DATABASE_URL", raising=False)
    monkeypatch.setenv("CALLSHEET_DATABASE_URL_FILE", str(file))

    assert SchedulerSettings().database_url == DSN


@pytest.mark.parametrize("content", [None, "", "postgresql://one\npostgresql://two\n"])
def test_a_file_without_one_database_is_refused_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "database-url"
    if content is not None:
        file.write_text(content, encoding="ascii")
    monkeypatch.delenv("CALLSHEET_DATABASE_URL", raising=False)
    monkeypatch.setenv("CALLSHEET_DATABASE_URL_FILE", str(file))

    with pytest.raises(ValidationError, match="CALLSHEET_DATABASE_URL_FILE"):
        SchedulerSettings()


def test_a_database_that_is_named_twice_or_never_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSHEET_DATABASE_URL", DSN)
    monkeypatch.setenv("CALLSHEET_DATABASE_URL_FILE", "/nowhere")
    with pytest.raises(ValidationError, match="set one of"):
        SchedulerSettings()
    monkeypatch.delenv("CALLSHEET_DATABASE_URL")
    monkeypatch.delenv("CALLSHEET_DATABASE_URL_FILE")
    with pytest.raises(ValidationError, match="set one of"):
        SchedulerSettings()
