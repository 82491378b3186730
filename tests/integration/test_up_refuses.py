"""What ``callsheet up`` cannot do it says in one sentence, and leaves nothing behind."""

import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.accounts import ordinary_account
from tests.support.command_up import running_up
from tests.support.folders import open_folder
from tests.support.media import quadrants
from tests.support.small_disks import python_with_small_disk


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


async def refusal(
    data: Path, *arguments: str, python: Sequence[str] = (sys.executable,), **environment: str
) -> str:
    """Start, and return the one sentence with which it ends."""
    async with running_up(data, *arguments, python=python, environment=environment) as up:
        assert await up.exit_code() == 1, up.said
        (sentence,) = [line for line in up.said if not line.startswith("The admin token")]
        return sentence


async def test_taken_port_is_named(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        sentence = await refusal(place / "data", "--port", str(port))

    assert sentence == f"Port {port} is not to be had (Address already in use): choose another (PORT=)."


async def test_media_that_is_not_there_is_named(place: Path) -> None:
    absent = place / "absent"

    sentence = await refusal(place / "data", "--media", str(absent))

    assert sentence == f"MEDIA cannot be read: {absent}: No such file or directory."


async def test_data_folder_inside_media_is_refused(place: Path) -> None:
    sentence = await refusal(place / "data", "--media", str(place))

    assert sentence.startswith(f"The data folder {place / 'data'} lies in MEDIA, which is never written to")


async def test_data_folder_that_is_a_file_is_named(place: Path) -> None:
    (place / "data").write_text("")

    sentence = await refusal(place / "data")

    assert sentence == f"The data folder {place / 'data'} cannot be used: File exists."


async def test_programs_that_do_not_run_are_named(place: Path) -> None:
    (place / "media").mkdir()

    sentence = await refusal(
        place / "data", "--media", str(place / "media"), CALLSHEET_PG_BIN=str(place / "no-bin")
    )

    assert sentence.startswith(f"PostgreSQL's programs do not run here ({place / 'no-bin'}: cannot run")


async def test_full_disk_is_said(place: Path) -> None:
    data = place / "data"
    data.mkdir()

    sentence = await refusal(data, python=python_with_small_disk(data, "20m"))

    assert sentence.startswith(f"The disk that holds {data} is full:")


async def test_ordinary_account_is_told_what_it_cannot_read_and_serves_what_it_can(place: Path) -> None:
    account = ordinary_account()
    media, home = place / "media", place / "home"
    for folder in (media, home):
        folder.mkdir()
        account.give(folder)
    quadrants().save(media / "beach.jpg")
    media.chmod(0)
    environment = {"HOME": str(home)}

    async with running_up(
        home / "data", "--media", str(media), python=account.python, environment=environment
    ) as up:
        assert await up.exit_code() == 1, up.said
        assert up.said == [f"MEDIA cannot be read: {media}: Permission denied."]

    media.chmod(0o755)
    async with running_up(
        home / "data", "--media", str(media), python=account.python, environment=environment
    ) as up:
        await up.line("1 new,")
        assert (home / "data/postgres/cluster").stat().st_uid == account.uid
        assert await up.stop() == 0
