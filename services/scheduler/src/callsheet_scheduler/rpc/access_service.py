"""AccessService: translate in, call, translate out."""

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from typing_extensions import override

from callsheet.v1.access_service_pb2 import (
    AppendAuditRequest,
    AppendAuditResponse,
    ChangeApiKeyRequest,
    ChangeApiKeyResponse,
    CheckSessionRequest,
    CheckSessionResponse,
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    EndSessionRequest,
    EndSessionResponse,
    ListApiKeysRequest,
    ListApiKeysResponse,
    ListAuditRequest,
    ListAuditResponse,
    ResolveApiKeyRequest,
    ResolveApiKeyResponse,
    RevokeApiKeyRequest,
    RevokeApiKeyResponse,
)
from callsheet.v1.access_service_pb2_grpc import AccessServiceServicer
from callsheet_scheduler.rpc.access_convert import (
    change_from_wire,
    entry_from_wire,
    entry_to_wire,
    key_from_wire,
    key_to_wire,
)
from callsheet_scheduler.rpc.convert import instant_from_wire
from callsheet_scheduler.use_cases.access import Access

Context = grpc.aio.ServicerContext[Message, Message]


class AccessService(AccessServiceServicer):
    """Who may use REST, and what was done over it."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @override
    async def CreateApiKey(self, request: CreateApiKeyRequest, context: Context) -> CreateApiKeyResponse:
        return CreateApiKeyResponse(key=key_to_wire(await self._access.create_key(key_from_wire(request))))

    @override
    async def ListApiKeys(self, request: ListApiKeysRequest, context: Context) -> ListApiKeysResponse:
        keys, next_token = await self._access.keys(size=request.page_size, before=request.page_token)
        return ListApiKeysResponse(keys=[key_to_wire(key) for key in keys], next_page_token=next_token)

    @override
    async def RevokeApiKey(self, request: RevokeApiKeyRequest, context: Context) -> RevokeApiKeyResponse:
        key = await self._access.revoke_key(request.id, by=request.revoked_by)
        return RevokeApiKeyResponse(key=key_to_wire(key))

    @override
    async def ChangeApiKey(self, request: ChangeApiKeyRequest, context: Context) -> ChangeApiKeyResponse:
        key = await self._access.change_key(request.id, change_from_wire(request))
        return ChangeApiKeyResponse(key=key_to_wire(key))

    @override
    async def ResolveApiKey(self, request: ResolveApiKeyRequest, context: Context) -> ResolveApiKeyResponse:
        key = await self._access.resolve_key(key_id=request.id, sha256=request.sha256)
        return ResolveApiKeyResponse(key=key_to_wire(key))

    @override
    async def EndSession(self, request: EndSessionRequest, context: Context) -> EndSessionResponse:
        await self._access.end_session(request.id, expires_at=instant_from_wire(request.expires_at))
        return EndSessionResponse()

    @override
    async def CheckSession(self, request: CheckSessionRequest, context: Context) -> CheckSessionResponse:
        return CheckSessionResponse(ended=await self._access.is_session_ended(request.id))

    @override
    async def AppendAudit(self, request: AppendAuditRequest, context: Context) -> AppendAuditResponse:
        await self._access.append_audit([entry_from_wire(entry) for entry in request.entries])
        return AppendAuditResponse()

    @override
    async def ListAudit(self, request: ListAuditRequest, context: Context) -> ListAuditResponse:
        rows, next_token = await self._access.audit(
            actor=request.actor,
            since=_given(request.since),
            until=_given(request.until),
            size=request.page_size,
            before=request.page_token,
        )
        return ListAuditResponse(entries=[entry_to_wire(row) for row in rows], next_page_token=next_token)


def _given(stamp: Timestamp) -> float | None:
    return instant_from_wire(stamp) if stamp.ByteSize() else None
