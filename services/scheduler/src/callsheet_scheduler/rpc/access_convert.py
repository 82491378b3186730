"""Translates keys and the audit trail."""

from callsheet.v1.access_service_pb2 import (
    AccessRole,
    ApiKey,
    AuditEntry,
    ChangeApiKeyRequest,
    CreateApiKeyRequest,
)
from callsheet_scheduler.rpc.convert import instant_from_wire, instant_to_wire
from callsheet_scheduler.store.access import AuditRow, KeyChange, KeyRow


def key_from_wire(request: CreateApiKeyRequest) -> KeyRow:
    """Return the key to keep."""
    expires = instant_from_wire(request.expires_at) if request.HasField("expires_at") else None
    return KeyRow(
        id=request.id,
        name=request.name,
        role=int(request.role),
        sha256=request.sha256,
        created_at=0.0,
        created_by=request.created_by,
        expires_at=expires,
    )


def change_from_wire(request: ChangeApiKeyRequest) -> KeyChange:
    """Return what a key is to be."""
    return KeyChange(
        role=int(request.role) or None,
        expires_at=instant_from_wire(request.expires_at) if request.HasField("expires_at") else None,
        never_expires=request.clear_expires_at,
    )


def key_to_wire(key: KeyRow) -> ApiKey:
    """Return a key as a message."""
    return ApiKey(
        id=key.id,
        name=key.name,
        role=AccessRole.ValueType(key.role),
        created_at=instant_to_wire(key.created_at),
        created_by=key.created_by,
        expires_at=instant_to_wire(key.expires_at),
        last_used_at=instant_to_wire(key.last_used_at),
        revoked_at=instant_to_wire(key.revoked_at),
        revoked_by=key.revoked_by,
    )


def entry_from_wire(entry: AuditEntry) -> AuditRow:
    """Return an entry to append."""
    return AuditRow(
        id=entry.id,
        at=instant_from_wire(entry.at),
        actor=entry.actor,
        address=entry.address,
        action=entry.action,
        target=entry.target,
        status=entry.status,
        said=entry.said,
    )


def entry_to_wire(row: AuditRow) -> AuditEntry:
    """Return an entry as a message."""
    return AuditEntry(
        id=row.id,
        at=instant_to_wire(row.at),
        actor=row.actor,
        address=row.address,
        action=row.action,
        target=row.target,
        status=row.status,
        said=row.said,
    )
