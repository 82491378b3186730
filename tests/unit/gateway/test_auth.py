"""Who may do what is one table, and every route is in it."""

import pytest
from callsheet_gateway.auth import ROLES, Credentials, Role, authorise, check_role, methods_at, role_of_route
from callsheet_gateway.guarding import GuardedRoute
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from callsheet.errors import DeniedError, UnauthenticatedError

TOKEN = "q" * 40


@pytest.fixture
def credentials() -> Credentials:
    return Credentials(TOKEN)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_administrator_has_every_role(credentials: Credentials, scheme: str) -> None:
    assert credentials.role_of(f"{scheme} {TOKEN}") is Role.SUPER_ADMIN
    for role in Role:
        authorise(credentials, f"{scheme} {TOKEN}", role)


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
def test_anything_else_has_none(credentials: Credentials, authorization: str) -> None:
    with pytest.raises(UnauthenticatedError):
        credentials.role_of(authorization)
    for role in set(Role) - {Role.PUBLIC}:
        with pytest.raises(UnauthenticatedError):
            authorise(credentials, authorization, role)


@given(st.text(max_size=60))
def test_no_other_text_is_the_token(text: str) -> None:
    if text.strip() != TOKEN:
        with pytest.raises(UnauthenticatedError):
            Credentials(TOKEN).role_of(f"Bearer {text}")


def test_what_is_public_needs_no_credential(credentials: Credentials) -> None:
    authorise(credentials, "", Role.PUBLIC)
    authorise(credentials, "Bearer wrong", Role.PUBLIC)


def test_lesser_role_is_denied_and_told_which_is_needed() -> None:
    check_role(Role.VIEWER, Role.VIEWER)
    check_role(Role.SUPER_ADMIN, Role.VIEWER)
    with pytest.raises(DeniedError, match="needs the role OPERATOR; the credential has VIEWER"):
        check_role(Role.VIEWER, Role.OPERATOR)


def test_token_is_not_kept_in_memory_as_it_is(credentials: Credentials) -> None:
    assert TOKEN not in repr(vars(credentials))


def test_route_without_a_role_cannot_be_made() -> None:
    router = APIRouter(route_class=GuardedRoute)

    async def endpoint() -> None: ...

    with pytest.raises(LookupError, match="GET /forgotten has no role"):
        router.add_api_route("/forgotten", endpoint, methods=["GET"])
    with pytest.raises(LookupError, match="PATCH /healthz has no role"):
        router.add_api_route("/healthz", endpoint, methods=["GET", "PATCH"])


def test_route_with_several_methods_needs_the_highest_of_their_roles() -> None:
    assert role_of_route({"GET", "POST"}, "/api/media/jobs") is Role.OPERATOR


def test_only_probes_metrics_and_the_description_are_public() -> None:
    public = {path for (_, path), role in ROLES.items() if role is Role.PUBLIC}
    assert public == {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/assets/{name}"}


def test_methods_of_a_path_are_found_by_its_template() -> None:
    assert methods_at("/api/media/jobs") == {"GET", "POST"}
    assert methods_at("/api/media/jobs/abc/retry") == {"POST"}
    assert methods_at("/api/media/jobs/abc") == {"GET", "PATCH"}
    assert methods_at("/api/media/jobs/") == set()
    assert methods_at("/nothing") == set()
