"""Logs are one line an event, and carry no secret and no trick."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsheet.service import logs
from callsheet.service.logs import redact
from callsheet.service.plain import plain, plain_line


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer {}",
        "postgresql://callsheet:{}@db:5432/callsheet",
        "postgresql://callsheet:pa@{}@db/callsheet",
        "redis://:{}@cache",
        "PGPASSWORD={} psql",
        "password='{}'",
        '{{"api_key": "{}", "a": 1}}',
        "GET /x?X-Amz-Signature={}&b=1",
        "secret = {}",
        "token: {} CALLSHEET_PORT=1",
        "join token: set CALLSHEET_JOIN_TOKEN={}",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    assert "hunter2" not in redact(text.format("hunter2"))
    assert redact(text.format("hunter2")) == redact(text.format("swordfish"))


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/api/media/jobs",
        "the lease's token is stale",
        "10 passwords",
        "a@b.example",
        "this call needs the right join token: set CALLSHEET_JOIN_TOKEN_FILE",
        "CALLSHEET_JOIN_TOKEN_FILE: /run/join-token holds no token",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text())
def test_taking_secrets_out_twice_is_taking_them_out_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.fixture
def configured() -> "object":
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)


def test_a_line_is_a_document(configured: object, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    log = logging.getLogger("callsheet.test")
    try:
        int("postgresql://u:hunter2@db/x")
    except ValueError:
        log.exception("it broke\n%s", "Bearer hunter2", extra={"port": 7, "join_token": "hunter2"})
    log.debug("unseen")

    written = capsys.readouterr().err
    line = json.loads(written)
    assert written.count("\n") == 1
    assert "hunter2" not in written
    assert {key: line[key] for key in ("level", "from", "message", "port", "join_token")} == {
        "level": "error",
        "from": "callsheet.test",
        "message": "it broke\nBearer ***",
        "port": 7,
        "join_token": "***",
    }
    assert "ValueError" in line["trace"]


def test_on_a_terminal_a_strangers_words_stay_on_their_line(
    configured: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.configure("info")
    logging.getLogger("callsheet.test").info("%s: broken", "a\x1b[2J\n12:00 info forged", extra={"count": 3})

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\x1b" not in written
    assert "count=3" in written


@given(st.text())
def test_plain_text_cannot_steer_a_terminal(text: str) -> None:
    shown = plain(text)

    assert all(character.isprintable() or character in "\t\n" or ord(character) > 0x9F for character in shown)
    assert not set(shown) & set("\u202e\u2066\u200f\r\x1b\x9b")
    shown.encode()
    assert "\n" not in plain_line(text)


@given(st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text
