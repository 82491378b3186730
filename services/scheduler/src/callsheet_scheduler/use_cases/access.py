"""API keys, ended sessions and the audit trail: checks, then the store."""

import logging
import re
from collections.abc import Sequence
from typing import Final

from callsheet.errors import ConflictError, InvalidError, NotFoundError, StateError, UnavailableError
from callsheet.ids import check_id
from callsheet_scheduler.leadership import Leadership
from callsheet_scheduler.store.access import (
    AccessStore,
    AuditRow,
    KeyChange,
    KeyRow,
    append_audit,
    change_key,
    end_session,
    insert_key,
    note_key_use,
    revoke_key,
)

log = logging.getLogger(__name__)

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ROLES: Final = range(1, 5)
"""The roles on the wire."""
SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
SESSION_AHEAD_S: Final = 400 * 86_400.0
"""How far ahead the end of a session may lie."""
SHA256_BYTES: Final = 32
BY_MAX: Final = 300
"""Characters of who did something."""
KEYS_MAX: Final = 10_000
"""Keys that are not revoked."""
NOTED_EVERY_S: Final = 300.0
"""How exact the last use of a key is known."""
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 200
ENTRIES_MAX: Final = 500
"""Entries of the trail that are appended at once."""
TEXT_MAX: Final = 2000
"""Characters of one text of an entry."""
AGE_MAX_S: Final = 86_400.0
"""How old an entry may be that is appended; as much, it may be ahead."""


class Access:
    """Who may use REST, and what was done over it."""

    def __init__(self, leadership: Leadership, store: AccessStore) -> None:
        self._leadership = leadership
        self._store = store

    async def create_key(self, key: KeyRow) -> KeyRow:
        """Keep a key; its instant of creation is now.

        Raises:
            InvalidError: A field is wrong.
            ConflictError: Its id or hash is another key's.
            StateError: There are too many.
        """
        term = self._leadership.current()
        now = term.commits.now()
        _check_key(key, now=now)
        row = KeyRow(
            id=check_id(key.id, "id"),
            name=key.name,
            role=key.role,
            sha256=key.sha256,
            created_at=now,
            created_by=key.created_by,
            expires_at=key.expires_at,
        )
        await term.write_control(lambda connection: insert_key(connection, row, keys_max=KEYS_MAX))
        found = await self._store.key(key_id=row.id, sha256=row.sha256)
        if found is None:
            raise StateError(f"there are {KEYS_MAX:,} keys that are not revoked; revoke some first")
        same = (found.id, found.sha256, found.name, found.role)
        if same != (row.id, row.sha256, row.name, row.role):
            raise ConflictError(f"the id {row.id} or the key belongs to another key")
        return found

    async def keys(self, *, size: int, before: str) -> tuple[list[KeyRow], str]:
        """Return some keys, newest first, and the token of the next page."""
        limit = _page(size)
        rows = await self._store.keys(before=_token(before), limit=limit + 1)
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else ""

    async def revoke_key(self, key_id: str, *, by: str) -> KeyRow:
        """Refuse a key from here on.

        Raises:
            NotFoundError: There is none.
        """
        _check_text(by, BY_MAX, field="revoked_by")
        known = check_id(key_id, "id")
        term = self._leadership.current()
        now = term.commits.now()
        await term.write_control(lambda connection: revoke_key(connection, known, by=by, now=now))
        return await self._found(key_id=known)

    async def change_key(self, key_id: str, change: KeyChange) -> KeyRow:
        """Give a key another role or end.

        Raises:
            InvalidError: A field is wrong.
            NotFoundError: There is no such key.
            StateError: It is revoked.
        """
        known = check_id(key_id, "id")
        term = self._leadership.current()
        _check_change(change, now=term.commits.now())
        await term.write_control(lambda connection: change_key(connection, known, change))
        key = await self._found(key_id=known)
        if key.revoked_at is not None:
            raise StateError(f"the key {known} is revoked; make another")
        return key

    async def end_session(self, session_id: str, *, expires_at: float) -> None:
        """Have a session refused until it would expire.

        Raises:
            InvalidError: The id is none, or the end lies too far ahead.
        """
        _check_session(session_id)
        term = self._leadership.current()
        if expires_at > term.commits.now() + SESSION_AHEAD_S:
            raise InvalidError("must lie within 400 days from now", field="expires_at")
        await term.write_control(
            lambda connection: end_session(connection, session_id, expires_at=expires_at)
        )

    async def is_session_ended(self, session_id: str) -> bool:
        """Return whether a session was ended before it expired."""
        _check_session(session_id)
        self._leadership.current()
        return await self._store.is_session_ended(session_id)

    async def resolve_key(self, *, key_id: str, sha256: bytes) -> KeyRow:
        """Return the key with a hash, or with an id where the hash is empty, and note that it is used.

        Raises:
            NotFoundError: There is none.
        """
        term = self._leadership.current()
        if sha256:
            _check_hash(sha256)
            key = await self._found(sha256=sha256)
        else:
            key = await self._found(key_id=check_id(key_id, "id"))
        now = term.commits.now()
        if key.revoked_at is None and (key.last_used_at is None or now - key.last_used_at > NOTED_EVERY_S):
            try:
                await term.write_control(lambda connection: note_key_use(connection, key.id, now=now))
            except UnavailableError as error:
                log.info("the use of a key was not noted", extra={"reason": error.message})
        return key

    async def append_audit(self, entries: Sequence[AuditRow]) -> None:
        """Append to the trail.

        Raises:
            InvalidError: There are none, or too many, or one is not acceptable; nothing was written.
        """
        if not 1 <= len(entries) <= ENTRIES_MAX:
            raise InvalidError(f"must be 1 to {ENTRIES_MAX} entries, not {len(entries)}", field="entries")
        term = self._leadership.current()
        now = term.commits.now()
        for number, entry in enumerate(entries):
            _check_entry(entry, now=now, field=f"entries[{number}]")
        await term.write_control(lambda connection: append_audit(connection, entries))

    async def audit(
        self, *, actor: str, since: float | None, until: float | None, size: int, before: str
    ) -> tuple[list[AuditRow], str]:
        """Return some entries of the trail, newest first, and the token of the next page."""
        _check_text(actor, BY_MAX, field="actor")
        limit = _page(size)
        rows = await self._store.audit(
            actor=actor, since=since, until=until, before=_token(before), limit=limit + 1
        )
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else ""

    async def _found(self, *, key_id: str | None = None, sha256: bytes | None = None) -> KeyRow:
        key = await self._store.key(key_id=key_id, sha256=sha256)
        if key is None:
            raise NotFoundError(f"there is no key {key_id or 'like that'}")
        return key


def _check_key(key: KeyRow, *, now: float) -> None:
    if not NAME.fullmatch(key.name):
        raise InvalidError(
            "must be 1 to 64 of a-z, 0-9, dot, hyphen and underscore, the first a letter or digit",
            field="name",
        )
    _check_role(key.role)
    _check_hash(key.sha256)
    _check_end(key.expires_at, now=now)
    _check_text(key.created_by, BY_MAX, field="created_by")


def _check_change(change: KeyChange, *, now: float) -> None:
    if change == KeyChange():
        raise InvalidError("nothing is to be changed; name the role or the end")
    if change.role is not None:
        _check_role(change.role)
    if change.never_expires and change.expires_at is not None:
        raise InvalidError("cannot be set and taken away at once", field="expires_at")
    _check_end(change.expires_at, now=now)


def _check_role(role: int) -> None:
    if role not in ROLES:
        raise InvalidError("must be VIEWER, SUBMITTER, OPERATOR or SUPER_ADMIN", field="role")


def _check_end(expires_at: float | None, *, now: float) -> None:
    if expires_at is not None and expires_at <= now:
        raise InvalidError("must lie ahead", field="expires_at")


def _check_session(session_id: str) -> None:
    if not SESSION.fullmatch(session_id):
        raise InvalidError("must be 1 to 64 letters, digits, hyphens and underscores", field="id")


def _check_hash(sha256: bytes) -> None:
    if len(sha256) != SHA256_BYTES:
        raise InvalidError(f"must be {SHA256_BYTES} bytes, not {len(sha256)}", field="sha256")


def _check_entry(entry: AuditRow, *, now: float, field: str) -> None:
    check_id(entry.id, f"{field}.id")
    if abs(entry.at - now) > AGE_MAX_S:
        raise InvalidError("must lie within a day of the scheduler's clock", field=f"{field}.at")
    if not 0 <= entry.status <= 999:  # noqa: PLR2004 -- three digits
        raise InvalidError("is no HTTP status", field=f"{field}.status")
    for text in (entry.actor, entry.address, entry.action, entry.target, entry.said):
        _check_text(text, TEXT_MAX, field=field)


def _check_text(text: str, longest: int, *, field: str) -> None:
    if len(text) > longest or "\x00" in text:
        raise InvalidError(f"must have at most {longest} characters, and no NUL", field=field)


def _page(size: int) -> int:
    if not 0 <= size <= PAGE_MAX:
        raise InvalidError(f"must be 1 to {PAGE_MAX}, not {size}", field="page_size")
    return size or PAGE_DEFAULT


def _token(before: str) -> str:
    return check_id(before, "page_token") if before else ""
