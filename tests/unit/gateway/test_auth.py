"""Who may do what is one table, and every route is in it."""

import pytest
from callsheet_gateway.access.auth import ROLES, Role, check_role, methods_at, role_of_route
from callsheet_gateway.access.callers import Caller
from callsheet_gateway.access.credentials import Credentials, token_of
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.access.jwts import Jwts, RoleClaim
from callsheet_gateway.access.keys import Keys
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from callsheet.api_keys import new_key
from callsheet.client import Client, Patience
from callsheet.errors import DeniedError, OverloadedError, UnauthenticatedError, UnavailableError
from callsheet.service.clock import SystemClock

TOKEN = "q" * 40
ABSENT = Patience(total_s=0.0, try_s=0.1)


def credentials(admin_token: str = TOKEN) -> Credentials:
    """Return credentials of which only the administrator's token is known, and no scheduler answers."""
    clock = SystemClock()
    keys = Keys(Client("127.0.0.1:1", patience=ABSENT), clock, fresh_s=5.0, stale_s=60.0)
    return Credentials(admin_token, keys=keys, jwts=Jwts(roles=RoleClaim(), leeway_s=0.0))


async def caller(authorization: str) -> Caller:
    return await credentials().caller(token_of(authorization))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_administrators_token_has_every_role(scheme: str) -> None:
    found = await caller(f"{scheme} {TOKEN}")
    assert (found.name, found.role, found.expires_at) == ("admin", Role.SUPER_ADMIN, None)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer ü",
    ],
)
async def test_anything_else_is_nobody(authorization: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await caller(authorization)


@given(st.text(max_size=60))
async def test_no_other_text_is_the_token(text: str) -> None:
    if text.strip() != TOKEN:
        with pytest.raises(UnauthenticatedError):
            await caller(f"Bearer {text}")


async def test_session_of_the_administrator_ends_with_the_token() -> None:
    before = await caller(f"Bearer {TOKEN}")
    assert await credentials().still(before) == before
    with pytest.raises(UnauthenticatedError):
        await credentials(TOKEN + "2").still(before)


def test_lesser_role_is_denied_and_told_which_is_needed() -> None:
    check_role(Role.VIEWER, Role.VIEWER)
    check_role(Role.SUPER_ADMIN, Role.VIEWER)
    with pytest.raises(DeniedError, match="needs the role OPERATOR; the credential has VIEWER"):
        check_role(Role.VIEWER, Role.OPERATOR)


async def test_token_is_not_kept_in_memory_as_it_is() -> None:
    assert TOKEN not in repr(vars(credentials()))


async def test_key_that_nobody_can_look_up_now_is_neither_good_nor_wrong() -> None:
    with pytest.raises(UnavailableError, match="no scheduler leads that could be asked"):
        await caller(f"Bearer {new_key().text}")


async def test_after_too_many_wrong_ones_unknown_keys_are_not_even_looked_up() -> None:
    with pytest.raises(OverloadedError):
        await credentials().caller(new_key().text, refused_for_s=3.0)


def test_route_without_a_role_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)

    async def endpoint() -> None: ...

    with pytest.raises(LookupError, match="GET /forgotten has no role"):
        router.add_api_route("/forgotten", endpoint, methods=["GET"])
    with pytest.raises(LookupError, match="PATCH /healthz has no role"):
        router.add_api_route("/healthz", endpoint, methods=["GET", "PATCH"])


def test_route_with_several_methods_needs_the_highest_of_their_roles() -> None:
    assert role_of_route({"GET", "POST"}, "/api/collections") is Role.SUBMITTER


def test_only_sign_in_probes_metrics_the_description_and_the_page_are_public() -> None:
    public = {(method, path) for (method, path), role in ROLES.items() if role is Role.PUBLIC}
    seen = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/assets/{name}")
    page = {path for method, path in ROLES if method == "GET" and not path.startswith(("/api", *seen))}
    assert "/assets/{name}" in page
    assert public == {("POST", "/api/session"), *(("GET", path) for path in {*seen, *page})}


def test_methods_of_a_path_are_found_by_its_template() -> None:
    assert methods_at("/api/media/jobs") == {"GET", "POST"}
    assert methods_at("/api/media/jobs/abc/retry") == {"POST"}
    assert methods_at("/api/media/jobs/abc") == {"GET", "PATCH"}
    assert methods_at("/api/media/jobs/") == set()
    assert methods_at("/nothing") == set()
