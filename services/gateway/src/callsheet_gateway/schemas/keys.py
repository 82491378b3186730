"""API keys and the audit trail, as REST has them."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, JsonValue

from callsheet.v1.access_service_pb2 import AccessRole, ApiKey, AuditEntry
from callsheet_gateway.access.auth import RoleName
from callsheet_gateway.schemas.shared import Body, Camel, Instant, Moment, Question, instant, instant_or_none

KEY_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "019aa1f7-6f00-7000-8000-00000000000a",
    "name": "web-site",
    "role": "SUBMITTER",
    "createdAt": "2026-02-13T10:25:00.000Z",
    "createdBy": "admin",
    "expiresAt": "2027-02-13T00:00:00.000Z",
    "lastUsedAt": None,
    "revokedAt": None,
    "revokedBy": None,
}
CREATED_EXAMPLE: Final[dict[str, JsonValue]] = KEY_EXAMPLE | {"key": "cs_…"}
AUDIT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "019aa1f7-6f00-7000-8000-00000000000b",
    "at": "2026-02-13T10:25:00.000Z",
    "actor": "key:web-site",
    "address": "192.0.2.7",
    "action": "POST /api/media/jobs/{job_id}/cancel",
    "target": "/api/media/jobs/019aa1f7-6f00-7000-8000-000000000001/cancel",
    "status": 200,
    "said": "",
}

Size = Annotated[int, Field(ge=1, le=200, description="Entries of a page at most.")]
Cursor = Annotated[str, Field(max_length=64, description="The nextCursor of the page before.")]


class NewKey(Body):
    """A key to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"name": "web-site", "role": "SUBMITTER", "expiresAt": "2027-02-13T00:00:00Z"}
        },
    )

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Whom it is for. Keys of one name are one caller: one can follow another.",
    )
    role: RoleName = Field(description="What it allows; at most your own role.")
    expires_at: Moment | None = Field(
        default=None, description="From when on it is refused; never without it."
    )


class KeyChange(Body):
    """What to change of a key. What is left out stays as it is; whom it is for always does."""

    model_config = ConfigDict(json_schema_extra={"example": {"expiresAt": "2028-02-13T00:00:00Z"}})

    role: RoleName | None = Field(
        default=None, description="What it is to allow; at most your own role. Null leaves it."
    )
    expires_at: Moment | None = Field(
        default=None, description="From when on it is to be refused, ahead; null takes its end away."
    )

    @property
    def never_expires(self) -> bool:
        """Whether its end is to be taken away."""
        return "expires_at" in self.model_fields_set and self.expires_at is None


class KeyView(Camel):
    """A key, without what opens anything."""

    id: str
    name: str
    role: RoleName
    created_at: Instant
    created_by: str
    expires_at: Instant | None
    last_used_at: Instant | None = Field(description="To five minutes.")
    revoked_at: Instant | None
    revoked_by: str | None


class CreatedKey(KeyView):
    """A new key. This is the only answer that ever shows it."""

    key: str = Field(description="To be sent as Authorization: Bearer.")


class KeyList(Camel):
    """One page of keys."""

    data: list[KeyView] = Field(description="Newest first; revoked and expired ones too.")
    next_cursor: str | None = Field(
        description="For the next page; null when this is the last.", examples=[None]
    )


class KeysQuestion(Question):
    """Which page of the keys."""

    limit: Size = 100
    cursor: Cursor = ""


class AuditView(Camel):
    """One thing that somebody did, or tried to."""

    id: str
    at: Instant
    actor: str | None = Field(description="Who; null where nobody is known.")
    address: str = Field(description="From where.")
    action: str = Field(description="The method and the path of the endpoint, or gRPC and its method.")
    target: str = Field(description="The path and query that were asked for.")
    status: int = Field(description="The HTTP status of the answer.")
    said: str = Field(description="The beginning of what was sent; empty for secrets and what is no JSON.")


class AuditList(Camel):
    """One page of the audit trail."""

    data: list[AuditView] = Field(description="Newest first.")
    next_cursor: str | None = Field(
        description="For the next page; null when this is the last.", examples=[None]
    )


class AuditQuestion(Question):
    """Which entries of the trail. All that is given must pass."""

    actor: str = Field(default="", max_length=300, pattern=r"^[^\x00]*$", description="Only of this caller.")
    since: Moment | None = Field(default=None, description="Only from this instant on.")
    until: Moment | None = Field(default=None, description="Only before this instant.")
    limit: Size = 100
    cursor: Cursor = ""


def role_to_wire(role: RoleName) -> AccessRole.ValueType:
    """Return the role on the wire."""
    return AccessRole.Value(f"ACCESS_ROLE_{role.name}")


def key_view(key: ApiKey) -> KeyView:
    """Return a key."""
    return KeyView(
        id=key.id,
        name=key.name,
        role=RoleName(AccessRole.Name(key.role).removeprefix("ACCESS_ROLE_")),
        created_at=instant(key.created_at),
        created_by=key.created_by,
        expires_at=instant_or_none(key.expires_at),
        last_used_at=instant_or_none(key.last_used_at),
        revoked_at=instant_or_none(key.revoked_at),
        revoked_by=key.revoked_by or None,
    )


def audit_view(entry: AuditEntry) -> AuditView:
    """Return an entry of the trail."""
    return AuditView(
        id=entry.id,
        at=instant(entry.at),
        actor=entry.actor or None,
        address=entry.address,
        action=entry.action,
        target=entry.target,
        status=entry.status,
        said=entry.said,
    )
