"""``callsheet keys`` and ``callsheet audit``: who may use REST, and what was done over it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import typer

from callsheet.acting import me
from callsheet.api_keys import new_key
from callsheet.cli.commands import Reach, command
from callsheet.cli.documents import document
from callsheet.cli.exits import ExitCode
from callsheet.cli.humane import ago_text
from callsheet.cli.instants import instant, rfc3339
from callsheet.client.stamps import stamp_of
from callsheet.v1.access_service_pb2 import AccessRole, ApiKey, AuditEntry, ListAuditRequest

keys = typer.Typer(help="Make, list, change and revoke API keys for REST.", no_args_is_help=True)
audit = typer.Typer(help="See what was done over REST.", no_args_is_help=True)

KEY_COLUMNS: Final = ("ID", "NAME", "ROLE", "CREATED", "BY", "EXPIRES", "LAST USED", "REVOKED")
AUDIT_COLUMNS: Final = ("AT", "ACTOR", "FROM", "STATUS>", "ACTION", "TARGET")
PAGE: Final = 200


class RoleChoice(StrEnum):
    """What a key allows."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    SUPER_ADMIN = "super_admin"


@command(keys, "create")
async def create_key(
    reach: Reach,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom it is for.")],
    *,
    role: Annotated[RoleChoice, typer.Option(help="What it allows.")],
    days: Annotated[
        int | None, typer.Option(min=1, metavar="DAYS", help="For how many days it is good; else for good.")
    ] = None,
) -> ExitCode:
    """Make an API key. It is written to standard output once, and kept nowhere."""
    secret = new_key()
    key = await reach.client.create_key(
        secret,
        name=name,
        role=AccessRole.Value(f"ACCESS_ROLE_{role.name}"),
        created_by=me(),
        expires_at=None if days is None else reach.now + timedelta(days=days),
    )
    if reach.output.as_json:
        reach.output.document({**document(key), "key": secret.text})
    else:
        reach.output.say(secret.text)
        reach.output.remark(f"Key {key.id} of {name}. Keep it safe: it cannot be shown again.")
    return ExitCode.OK


@command(keys, "list")
async def list_keys(
    reach: Reach,
    *,
    every: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
) -> ExitCode:
    """List API keys, newest first."""
    found: list[ApiKey] = []
    cursor = ""
    while True:
        page = await reach.client.keys_page(size=PAGE, cursor=cursor)
        found += [key for key in page.keys if every or _is_good(key, reach.now)]
        cursor = page.next_page_token
        if not cursor:
            break
    if reach.output.as_json:
        for key in found:
            reach.output.document(key)
    elif found:
        reach.output.table(KEY_COLUMNS, [_key_row(key, reach.now) for key in found])
    else:
        reach.output.remark("No keys.")
    return ExitCode.OK


@command(keys, "change")
async def change_key(
    reach: Reach,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id; see `keys list`.")],
    *,
    role: Annotated[RoleChoice | None, typer.Option(help="What it is to allow.")] = None,
    days: Annotated[
        int | None,
        typer.Option(min=0, metavar="DAYS", help="For how many days from now it is good; 0 for good."),
    ] = None,
) -> ExitCode:
    """Give an API key another role or end; gateways hear of it within seconds."""
    key = await reach.client.change_key(
        key_id,
        role=AccessRole.Value("ACCESS_ROLE_" + (role.name if role else "UNSPECIFIED")),
        expires_at=reach.now + timedelta(days=days) if days else None,
        never_expires=days == 0,
    )
    if reach.output.as_json:
        reach.output.document(key)
    else:
        reach.output.table(KEY_COLUMNS, [_key_row(key, reach.now)])
    return ExitCode.OK


@command(keys, "revoke")
async def revoke_key(
    reach: Reach, key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id; see `keys list`.")]
) -> ExitCode:
    """Refuse an API key from here on; gateways hear of it within seconds."""
    key = await reach.client.revoke_key(key_id, by=me())
    if reach.output.as_json:
        reach.output.document(key)
    else:
        reach.output.say(f"Revoked {key.id} of {key.name}.")
    return ExitCode.OK


@command(audit, "list")
async def list_audit(
    reach: Reach,
    *,
    actor: Annotated[
        str, typer.Option(metavar="NAME", help="Only what this caller did, such as key:site.")
    ] = "",
    since: Annotated[
        datetime | None, typer.Option(metavar="INSTANT", help="Only from here on; in UTC.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(metavar="INSTANT", help="Only before; in UTC.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 50,
) -> ExitCode:
    """List what was done over REST, newest first."""
    wanted = ListAuditRequest(actor=actor, since=stamp_of(since), until=stamp_of(until), page_size=PAGE)
    shown: list[AuditEntry] = []
    while True:
        page = await reach.client.audit_page(wanted)
        shown += page.entries
        wanted.page_token = page.next_page_token
        if not wanted.page_token or (limit and len(shown) >= limit):
            break
    shown = shown[:limit] if limit else shown
    if reach.output.as_json:
        for entry in shown:
            reach.output.document(entry)
    elif shown:
        reach.output.table(AUDIT_COLUMNS, [_audit_row(entry) for entry in shown])
    else:
        reach.output.remark("Nothing is on record.")
    return ExitCode.OK


def _is_good(key: ApiKey, now: datetime) -> bool:
    expires_at = instant(key.expires_at)
    return not key.HasField("revoked_at") and (expires_at is None or expires_at > now)


def _key_row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    used_at = instant(key.last_used_at)
    return (
        key.id,
        key.name,
        AccessRole.Name(key.role).removeprefix("ACCESS_ROLE_").lower(),
        rfc3339(key.created_at) or "",
        key.created_by,
        rfc3339(key.expires_at) or "never",
        ago_text(used_at, now) if used_at else "never",
        rfc3339(key.revoked_at) or "",
    )


def _audit_row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        rfc3339(entry.at) or "",
        entry.actor or "-",
        entry.address,
        str(entry.status),
        entry.action,
        entry.target,
    )
