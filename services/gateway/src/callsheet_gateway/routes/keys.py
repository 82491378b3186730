"""/api/keys: make, list, change and revoke API keys."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from callsheet.api_keys import new_key
from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import check_id
from callsheet.v1.access_service_pb2 import AccessRole
from callsheet_gateway.access.auth import Role, check_role
from callsheet_gateway.access.callers import RequestCaller
from callsheet_gateway.access.guarding import GuardedRoute
from callsheet_gateway.openapi import problems
from callsheet_gateway.schemas.keys import (
    CreatedKey,
    KeyChange,
    KeyList,
    KeysQuestion,
    KeyView,
    NewKey,
    key_view,
    role_to_wire,
)
from callsheet_gateway.state import GatewayState

router = APIRouter(prefix="/api/keys", tags=["access"], route_class=GuardedRoute)


@router.get("", responses=problems(400))
async def list_keys(state: GatewayState, asked: Annotated[KeysQuestion, Query()]) -> KeyList:
    """List API keys, newest first."""
    page = await state.client.keys_page(size=asked.limit, cursor=asked.cursor)
    return KeyList(data=[key_view(key) for key in page.keys], next_cursor=page.next_page_token or None)


@router.post("", status_code=201, responses=problems(400, 409, 413, 415))
async def create_key(
    state: GatewayState, caller: RequestCaller, new: NewKey, response: Response
) -> CreatedKey:
    """Make an API key. It is shown by this answer alone; only its hash is kept."""
    check_role(caller.role, Role[new.role])
    secret = new_key()
    key = await state.client.create_key(
        secret,
        name=new.name,
        role=role_to_wire(new.role),
        created_by=caller.name,
        expires_at=new.expires_at,
    )
    response.headers["Cache-Control"] = "no-store"
    return CreatedKey(**dict(key_view(key)), key=secret.text)


@router.patch("/{key_id}", responses=problems(400, 404, 409, 413, 415))
async def change_key(state: GatewayState, caller: RequestCaller, key_id: str, change: KeyChange) -> KeyView:
    """Give a key another role or end: it holds here at once, at other gateways when they ask again."""
    role = AccessRole.ACCESS_ROLE_UNSPECIFIED
    if change.role is not None:
        check_role(caller.role, Role[change.role])
        role = role_to_wire(change.role)
    key = await state.client.change_key(
        _known(key_id), role=role, expires_at=change.expires_at, never_expires=change.never_expires
    )
    state.entrance.credentials.forget_key(key.id)
    return key_view(key)


@router.delete("/{key_id}", responses=problems(404))
async def revoke_key(state: GatewayState, caller: RequestCaller, key_id: str) -> KeyView:
    """Refuse a key from here on: here at once, at other gateways when they ask again."""
    key = await state.client.revoke_key(_known(key_id), by=caller.name)
    state.entrance.credentials.forget_key(key.id)
    return key_view(key)


def _known(key_id: str) -> str:
    """Return the id in canonical form.

    Raises:
        NotFoundError: It is none, so no key has it.
    """
    try:
        return check_id(key_id, "id")
    except InvalidError as error:
        raise NotFoundError(f"there is no key {key_id[:64]}: an id is a UUID in canonical form") from error
