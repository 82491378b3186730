"""What the client asks of keys, sessions of the page and the audit trail."""

from collections.abc import Sequence
from datetime import datetime

from callsheet.api_keys import SecretKey
from callsheet.client.stamps import stamp_of
from callsheet.client.wire import Wire
from callsheet.ids import new_job_id
from callsheet.v1.access_service_pb2 import (
    AccessRole,
    ApiKey,
    AppendAuditRequest,
    AuditEntry,
    ChangeApiKeyRequest,
    CheckSessionRequest,
    CreateApiKeyRequest,
    EndSessionRequest,
    ListApiKeysRequest,
    ListApiKeysResponse,
    ListAuditRequest,
    ListAuditResponse,
    ResolveApiKeyRequest,
    RevokeApiKeyRequest,
)


class Accessing(Wire):
    """Who may use REST, and what was done over it. Every method is safe to repeat."""

    async def create_key(
        self,
        secret: SecretKey,
        *,
        name: str,
        role: AccessRole.ValueType,
        created_by: str,
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """Keep a key, of which only the hash leaves this process."""
        request = CreateApiKeyRequest(
            id=new_job_id(),
            name=name,
            role=role,
            sha256=secret.sha256,
            expires_at=stamp_of(expires_at),
            created_by=created_by,
        )
        return (await self._repeating.call(self._access.CreateApiKey, request)).key

    async def keys_page(self, *, size: int = 0, cursor: str = "") -> ListApiKeysResponse:
        """Return one page of the keys, newest first."""
        request = ListApiKeysRequest(page_size=size, page_token=cursor)
        return await self._repeating.call(self._access.ListApiKeys, request)

    async def revoke_key(self, key_id: str, *, by: str) -> ApiKey:
        """Have a key refused from here on."""
        request = RevokeApiKeyRequest(id=key_id, revoked_by=by)
        return (await self._repeating.call(self._access.RevokeApiKey, request)).key

    async def change_key(
        self,
        key_id: str,
        *,
        role: AccessRole.ValueType = AccessRole.ACCESS_ROLE_UNSPECIFIED,
        expires_at: datetime | None = None,
        never_expires: bool = False,
    ) -> ApiKey:
        """Give a key another role or end; what is not given stays."""
        request = ChangeApiKeyRequest(
            id=key_id, role=role, expires_at=stamp_of(expires_at), clear_expires_at=never_expires
        )
        return (await self._repeating.call(self._access.ChangeApiKey, request)).key

    async def resolve_key(self, *, sha256: bytes = b"", key_id: str = "") -> ApiKey:
        """Return the key with a hash or an id, in whatever state."""
        request = ResolveApiKeyRequest(sha256=sha256, id=key_id)
        return (await self._repeating.call(self._access.ResolveApiKey, request)).key

    async def end_session(self, session_id: str, *, expires_at: datetime) -> None:
        """Have a session of the page refused by every gateway."""
        request = EndSessionRequest(id=session_id, expires_at=stamp_of(expires_at))
        await self._repeating.call(self._access.EndSession, request)

    async def is_session_ended(self, session_id: str) -> bool:
        """Return whether a session of the page was ended before it expired."""
        request = CheckSessionRequest(id=session_id)
        return (await self._repeating.call(self._access.CheckSession, request)).ended

    async def append_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Append to the audit trail, at most 500 entries."""
        await self._repeating.call(self._access.AppendAudit, AppendAuditRequest(entries=entries))

    async def audit_page(self, wanted: ListAuditRequest) -> ListAuditResponse:
        """Return one page of the audit trail, newest first."""
        return await self._repeating.call(self._access.ListAudit, wanted)
