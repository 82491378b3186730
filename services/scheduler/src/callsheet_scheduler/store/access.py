"""Keeps API keys, which sessions were ended, and the audit trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from callsheet_scheduler.store.connection import Connection
from callsheet_scheduler.store.partitions import first_id_of
from callsheet_scheduler.store.queue import changed_rows
from callsheet_scheduler.store.repeatable import repeatable
from callsheet_scheduler.store.statements import statement

LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key. Instants are seconds since 1970."""

    id: str
    name: str
    role: int
    """As on the wire."""
    sha256: bytes
    created_at: float
    created_by: str
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None
    revoked_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What a key is to be; None for what stays."""

    role: int | None = None
    expires_at: float | None = None
    never_expires: bool = False
    """Takes the end away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry of the audit trail."""

    id: str
    at: float
    actor: str
    address: str
    action: str
    target: str
    status: int
    said: str


async def insert_key(connection: Connection, key: KeyRow, *, keys_max: int) -> bool:
    """Keep a key; return whether it was, and is not where its id or hash is known or there are too many."""
    status = await connection.execute(
        statement("insert_key"),
        key.id,
        key.name,
        key.role,
        key.sha256,
        key.created_at,
        key.created_by,
        key.expires_at,
        keys_max,
    )
    return changed_rows(status) == 1


async def revoke_key(connection: Connection, key_id: str, *, by: str, now: float) -> None:
    """Revoke a key that is not revoked."""
    await connection.execute(statement("revoke_key"), key_id, now, by)


async def change_key(connection: Connection, key_id: str, change: KeyChange) -> None:
    """Change a key that is not revoked."""
    await connection.execute(
        statement("change_key"), key_id, change.role, change.expires_at, change.never_expires
    )


async def end_session(connection: Connection, session_id: str, *, expires_at: float) -> None:
    """Remember until it expires that a session is over."""
    await connection.execute(statement("end_session"), session_id, expires_at)


async def prune_ended_sessions(connection: Connection, *, now: float) -> None:
    """Forget the sessions that have expired by *now*."""
    await connection.execute(statement("prune_ended_sessions"), now)


async def note_key_use(connection: Connection, key_id: str, *, now: float) -> None:
    """Note that a key is used."""
    await connection.execute(statement("note_key_use"), key_id, now)


async def append_audit(connection: Connection, rows: Sequence[AuditRow]) -> None:
    """Append to the trail; what is there already is passed over."""
    await connection.execute(
        statement("append_audit"),
        [row.id for row in rows],
        [row.at for row in rows],
        [row.actor for row in rows],
        [row.address for row in rows],
        [row.action for row in rows],
        [row.target for row in rows],
        [row.status for row in rows],
        [row.said for row in rows],
    )


async def prune_audit(connection: Connection, *, before: float) -> None:
    """Drop what was written before an instant, at least 90 days ago."""
    await connection.execute(statement("prune_audit"), _first_id(before), before)


class AccessStore:
    """Reads keys, ended sessions and the trail."""

    def __init__(self, readers: asyncpg.Pool) -> None:
        self._readers = readers

    async def key(self, *, key_id: str | None = None, sha256: bytes | None = None) -> KeyRow | None:
        """Return the key with an id or a hash, None where there is none."""
        rows = await self._fetch(statement("find_key"), key_id, sha256)
        return next((KeyRow(**row) for row in rows), None)

    async def keys(self, *, before: str, limit: int) -> list[KeyRow]:
        """Return keys older than an id, newest first; all for an empty one."""
        rows = await self._fetch(statement("read_keys"), before or LAST_ID, limit)
        return [KeyRow(**row) for row in rows]

    async def is_session_ended(self, session_id: str) -> bool:
        """Return whether a session was ended before it expired."""
        [row] = await self._fetch(statement("find_ended_session"), session_id)
        ended: bool = row["ended"]
        return ended

    async def audit(
        self, *, actor: str, since: float | None, until: float | None, before: str, limit: int
    ) -> list[AuditRow]:
        """Return entries of *actor*, of everybody for none, from *since* to before *until* and older than
        the one with the id *before*, newest first.
        """
        low = _first_id(0.0 if since is None else since)
        high = min(before or LAST_ID, LAST_ID if until is None else _first_id(until))
        if actor:
            rows = await self._fetch(statement("read_audit_of"), low, high, limit, actor)
        else:
            rows = await self._fetch(statement("read_audit"), low, high, limit)
        return [AuditRow(**row) for row in rows]

    async def _fetch(self, text: str, *values: object) -> list[asyncpg.Record]:
        with repeatable():
            async with self._readers.acquire() as connection:
                return await connection.fetch(text, *values)


def _first_id(at: float) -> str:
    return first_id_of(datetime.fromtimestamp(max(0.0, at), UTC))
