"""The scheduler is named by option, or by the file that ``callsheet up`` leaves."""

import json
from pathlib import Path

import pytest

from callsheet.cli.connection import find_connection
from callsheet.errors import InvalidError, UnavailableError

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    content = {
        "scheduler": "127.0.0.1:7000",
        "gateway": "http://127.0.0.1:8080",
        "join_token_file": "join-token",
        "roots": {"library": "/media"},
        "later": "ignored",
    }
    (tmp_path / "connection.json").write_text(json.dumps(content))
    (tmp_path / "join-token").write_text(f"{TOKEN}\n")
    return tmp_path


def test_the_file_says_where_everything_is(data: Path) -> None:
    found = find_connection(scheduler=None, join_token_file=None, data=data)

    assert (found.scheduler, found.token, found.roots) == (
        "127.0.0.1:7000",
        TOKEN,
        {"library": Path("/media")},
    )
    assert TOKEN not in repr(found)


def test_a_named_scheduler_is_not_shown_the_token_of_another(data: Path) -> None:
    found = find_connection(scheduler="10.0.0.1:7420", join_token_file=None, data=data)

    assert (found.scheduler, found.token, found.roots) == ("10.0.0.1:7420", None, {})


def test_a_named_token_file_goes_before_that_of_the_file(data: Path) -> None:
    (data / "other").write_text("another-token-long-enough")

    named = find_connection(scheduler=None, join_token_file=data / "other", data=data)
    both = find_connection(scheduler="10.0.0.1:7420", join_token_file=data / "other", data=data)

    assert named.token == both.token == "another-token-long-enough"


def test_without_a_file_the_remedies_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"callsheet up.*--data.*--scheduler"):
        find_connection(scheduler=None, join_token_file=None, data=tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"scheduler": 7}', b"\xff", b"{" * 200_000])
def test_a_file_that_says_nothing_sensible_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "connection.json").write_bytes(content)

    with pytest.raises(InvalidError, match="--scheduler"):
        find_connection(scheduler=None, join_token_file=None, data=tmp_path)


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"a\x00b", None])
def test_a_file_without_a_token_is_refused(content: bytes | None, data: Path) -> None:
    (data / "join-token").unlink()
    if content is not None:
        (data / "join-token").write_bytes(content)

    with pytest.raises(InvalidError) as caught:
        find_connection(scheduler=None, join_token_file=None, data=data)

    assert caught.value.field == "--join-token-file"
