"""A session is in its cookie: nobody can make or change one, it ends, and gateways share it."""

import pytest
from callsheet_gateway.access.auth import Role
from callsheet_gateway.access.callers import Caller, Way
from callsheet_gateway.access.sessions import Sessions
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import UnauthenticatedError

SECRET = b"s" * 32
NOW = 1_000_000.0
ALICE = Caller(name="oidc:alice", role=Role.OPERATOR, way=Way.JWT, expires_at=NOW + 50)
ADMIN = Caller(name="admin", role=Role.SUPER_ADMIN, way=Way.ADMINISTRATOR, mark="m")


def sessions(secret: bytes = SECRET) -> Sessions:
    return Sessions(secret, life_s=100.0)


def test_cookie_brings_the_caller_back_at_every_gateway_with_the_same_secret() -> None:
    session = sessions().begin(ADMIN, now=NOW)
    opened = sessions().opened(sessions().sealed(session), now=NOW + 99)
    assert opened == session
    assert opened.caller == ADMIN
    with pytest.raises(UnauthenticatedError):
        sessions(b"o" * 32).opened(sessions().sealed(session), now=NOW)


def test_session_ends_after_its_life_and_with_its_credential() -> None:
    for caller, end in ((ADMIN, NOW + 100), (ALICE, NOW + 50)):
        cookie = sessions().sealed(sessions().begin(caller, now=NOW))
        assert sessions().opened(cookie, now=end - 1).expires_at == end
        with pytest.raises(UnauthenticatedError):
            sessions().opened(cookie, now=end)


@given(st.data())
def test_altered_cookie_is_none(data: st.DataObject) -> None:
    cookie = sessions().sealed(sessions().begin(ADMIN, now=NOW))
    at = data.draw(st.integers(0, len(cookie) - 1))
    others = sorted({chr(code) for code in range(33, 256)} - {cookie[at]})
    character = data.draw(st.sampled_from(others))
    with pytest.raises(UnauthenticatedError):
        sessions().opened(cookie[:at] + character + cookie[at + 1 :], now=NOW)


@given(st.text(max_size=80))
def test_no_other_text_is_a_cookie(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        sessions().opened(text, now=NOW)


def test_csrf_token_is_that_of_one_session_and_no_cookie() -> None:
    kept = sessions()
    one, other = kept.begin(ADMIN, now=NOW), kept.begin(ADMIN, now=NOW)
    assert kept.is_csrf_token(one, kept.csrf_token(one))
    for wrong in (kept.csrf_token(other), "", kept.sealed(one), "ü"):
        assert not kept.is_csrf_token(one, wrong)
