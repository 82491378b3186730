"""A service ends on signals, and says in one sentence what is wrong with its surroundings."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from callsheet.service.run import read_settings, read_token
from callsheet.service.settings import ServiceSettings

SERVICE = """
import sys
from callsheet.errors import UnavailableError
from callsheet.service.run import run

async def main(stop):
    print("up", flush=True)
    {body}

sys.exit(run(main))
"""


async def started(body: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE.format(body=body), stdout=PIPE, stderr=PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_service_ends_in_order_when_told_to(number: signal.Signals) -> None:
    process = await started("await stop.wait(); return 0")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(number)

    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0


async def test_what_stands_in_the_way_is_one_sentence() -> None:
    process = await started('raise UnavailableError("the port is taken")')
    _, errors = await process.communicate()

    assert errors == b"the port is taken\n"
    assert process.returncode == 2


def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLSHEET_OPS_PORT", "70000")

    with pytest.raises(SystemExit) as ended:
        read_settings(ServiceSettings)

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("CALLSHEET_OPS_PORT is not right: ")


def test_the_token_is_what_stands_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n")

    assert read_token(ServiceSettings(join_token_file=tmp_path / "token")) == "a-token"
    assert read_token(ServiceSettings()) is None


@pytest.mark.parametrize("content", ["", "\n", "two words", "\x00", "tökén", None])
def test_a_file_without_a_token_ends_the_service(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)

    with pytest.raises(SystemExit) as ended:
        read_token(ServiceSettings(join_token_file=tmp_path / "token"))

    assert ended.value.code == 2
    assert "CALLSHEET_JOIN_TOKEN_FILE" in capsys.readouterr().err
