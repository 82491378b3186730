"""The page signs in, carries its cookie, and nobody else's page can use it."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from callsheet_gateway.access.entrance import CSRF_HEADER, SECURE_COOKIE
from callsheet_gateway.settings import GatewaySettings

from callsheet.client import Patience
from tests.support.gateways import TOKEN, rest_over

PAUSE = "/api/queues/cpu/pause"
SAME = {"Origin": "http://gateway"}
ABSENT = Patience(total_s=0.0, try_s=0.1)
"""No scheduler is there: a request that is let in is answered 503."""


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    async with rest_over("127.0.0.1:1", GatewaySettings(), patience=ABSENT) as rest:
        del rest.headers["Authorization"]
        yield rest


async def signed_in(page: httpx.AsyncClient, **headers: str) -> str:
    """Sign in and return the CSRF token; the client keeps the cookie."""
    answer = await page.post("/api/session", json={"token": TOKEN}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["csrfToken"])


async def test_cookie_is_for_neither_scripts_nor_other_sites(page: httpx.AsyncClient) -> None:
    answer = await page.post("/api/session", json={"token": TOKEN}, headers=SAME)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.json() | {"name": "admin", "role": "SUPER_ADMIN", "way": "administrator"} == answer.json()
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("callsheet_session=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert 0 < int(cookie.partition("Max-Age=")[2].partition(";")[0]) <= 43_200
    assert "Secure" not in cookie
    assert TOKEN not in cookie


async def test_cookie_stands_for_the_credential_and_says_who_is_signed_in(page: httpx.AsyncClient) -> None:
    assert (await page.get("/api/session")).status_code == 401
    csrf = await signed_in(page)
    shown = (await page.get("/api/session")).json()
    assert (shown["name"], shown["role"], shown["csrfToken"]) == ("admin", "SUPER_ADMIN", csrf)
    assert (await page.get("/api/queues")).status_code == 503
    by_token = (await page.get("/api/session", headers={"Authorization": f"Bearer {TOKEN}"})).json()
    assert (by_token["name"], by_token["csrfToken"], by_token["expiresAt"]) == ("admin", None, None)


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1]])
async def test_wrong_token_begins_nothing(page: httpx.AsyncClient, token: str) -> None:
    answer = await page.post("/api/session", json={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME, 503),
        ({"Sec-Fetch-Site": "same-origin"}, 503),
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://gateway", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
async def test_what_changes_something_has_to_come_from_our_own_page(
    page: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    csrf = await signed_in(page)
    assert (await page.post(PAUSE, headers={**headers, CSRF_HEADER: csrf})).status_code == status


async def test_what_changes_something_needs_the_csrf_token_of_the_session(page: httpx.AsyncClient) -> None:
    old = await signed_in(page)
    csrf = await signed_in(page)
    for wrong in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: old}, {CSRF_HEADER: csrf[:-1]}):
        answer = await page.post(PAUSE, headers=SAME | wrong)
        assert answer.status_code == 403
        assert CSRF_HEADER in answer.json()["detail"]
    assert (await page.post(PAUSE, headers=SAME | {CSRF_HEADER: csrf})).status_code == 503


async def test_bearer_needs_neither_and_counts_before_the_cookie(page: httpx.AsyncClient) -> None:
    await signed_in(page)
    assert (await page.post(PAUSE, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 503
    assert (await page.post(PAUSE, headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_sign_out_that_nobody_can_keep_says_so_and_leaves_the_session(page: httpx.AsyncClient) -> None:
    csrf = await signed_in(page)
    assert (await page.delete("/api/session", headers=SAME)).status_code == 403
    answer = await page.delete("/api/session", headers=SAME | {CSRF_HEADER: csrf})
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (await page.get("/api/session")).status_code == 200


async def test_other_sites_cannot_sign_somebody_in(page: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://evil.example"}
    answer = await page.post("/api/session", json={"token": TOKEN}, headers=headers)
    assert answer.status_code == 403


async def test_behind_a_trusted_proxy_with_https_the_cookie_is_secure() -> None:
    settings = GatewaySettings(trusted_proxies="127.0.0.1")
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "callsheet.example"}
    async with rest_over("127.0.0.1:1", settings, patience=ABSENT) as page:
        del page.headers["Authorization"]
        answer = await page.post("/api/session", json={"token": TOKEN}, headers=said)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        assert "Secure" in cookie.split("; ")
        headers = said | {
            "Cookie": cookie.partition(";")[0],
            "Origin": "https://callsheet.example",
            CSRF_HEADER: answer.json()["csrfToken"],
        }
        assert (await page.post(PAUSE, headers=headers)).status_code == 503
        unsafe = headers | {"Origin": "http://callsheet.example"}
        assert (await page.post(PAUSE, headers=unsafe)).status_code == 403


async def test_gateways_with_the_same_secret_accept_one_anothers_sessions(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("z" * 40)
    secret.chmod(0o600)
    one = GatewaySettings(session_secret_file=secret)
    async with rest_over("127.0.0.1:1", one) as first, rest_over("127.0.0.1:1", one) as second:
        for page in (first, second):
            del page.headers["Authorization"]
        await signed_in(first)
        second.cookies.update(first.cookies)
        assert (await second.get("/api/session")).json()["name"] == "admin"
        async with rest_over("127.0.0.1:1", GatewaySettings()) as other:
            del other.headers["Authorization"]
            other.cookies.update(first.cookies)
            assert (await other.get("/api/session")).status_code == 401


async def test_request_is_served_in_the_thread_of_the_loop(page: httpx.AsyncClient) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    await signed_in(page)
    assert (await page.get("/api/session")).status_code == 200
    new = [thread.name for thread in threading.enumerate() if thread.ident not in before]
    assert not [name for name in new if "worker" in name.lower()], new
