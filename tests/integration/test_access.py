"""Keys, sessions and the audit trail over a real scheduler, and every endpoint against every credential."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx
import pytest
import pytest_asyncio
from callsheet_gateway.access.auth import ROLES, Role
from callsheet_gateway.access.entrance import CSRF_HEADER
from callsheet_gateway.settings import GatewaySettings
from callsheet_scheduler.local.postgres import EmbeddedPostgres
from callsheet_scheduler.store.access import prune_audit, prune_ended_sessions

from callsheet.acting import acting_as, me
from callsheet.api_keys import new_key, parse_key
from callsheet.client import Client, Patience
from callsheet.errors import InvalidError, NotFoundError
from callsheet.ids import new_job_id
from callsheet.service.clock import SystemClock
from callsheet.v1.access_service_pb2 import AccessRole
from tests.support.access import (
    OBJECTS,
    SECRET,
    bearer,
    endpoints,
    made,
    on_record,
    own_jwt,
    shown,
    status_of,
    until_refused,
)
from tests.support.command_line import CommandLine
from tests.support.fresh_database import new_database
from tests.support.gateways import Rest, rest_over
from tests.support.patience import PATIENCE_S
from tests.support.real_scheduler import RealScheduler, real_scheduler

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRESH_S = 0.2


class Stack(NamedTuple):
    """What these tests share."""

    scheduler: RealScheduler
    rest: Rest
    dsn: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    database_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Stack]:
    dsn = await new_database(database_server)
    folder = tmp_path_factory.mktemp("access")
    secret = folder / "jwt-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    settings = GatewaySettings(
        jwt_secret_file=secret, key_fresh_s=FRESH_S, sign_in_failures_per_min=0, scheduler_patience_s=0.5
    )
    async with real_scheduler(dsn, folder) as scheduler:
        patience = Patience(total_s=5.0, try_s=30.0)
        async with rest_over(scheduler.address, settings, patience=patience) as rest:
            yield Stack(scheduler, rest, dsn)


@pytest.fixture
def rest(stack: Stack) -> httpx.AsyncClient:
    return stack.rest


async def test_key_is_shown_once_and_opens_what_its_role_allows(stack: Stack) -> None:
    rest = stack.rest
    key = await made(rest, "OPERATOR", "reader-1")
    assert str(key["key"]).startswith("cs_")
    assert (await shown(rest, key["key"])).json()["name"] == "key:reader-1"
    assert (await rest.get("/api/queues", headers=bearer(key["key"]))).status_code == 200
    denied = await rest.get("/api/keys", headers=bearer(key["key"]))
    assert (denied.status_code, "SUPER_ADMIN" in denied.json()["detail"]) == (403, True)
    listed = OBJECTS.validate_python((await rest.get("/api/keys")).json()["data"])
    [own] = [one for one in listed if one["id"] == key["id"]]
    assert own == {name: value for name, value in key.items() if name != "key"} | {
        "lastUsedAt": own["lastUsedAt"]
    }
    connection = await asyncpg.connect(stack.dsn, ssl=False)
    rows = str(await connection.fetch("SELECT * FROM api_key"))
    assert str(key["key"]) not in rows
    await connection.close()


async def test_revoked_key_is_refused_here_at_once_and_elsewhere_soon(
    stack: Stack, rest: httpx.AsyncClient
) -> None:
    key = await made(rest, "VIEWER", "short-lived")
    settings = GatewaySettings(key_fresh_s=FRESH_S)
    async with rest_over(stack.scheduler.address, settings) as other:
        for gateway in (rest, other):
            assert (await shown(gateway, key["key"])).status_code == 200
        revoked = await rest.delete(f"/api/keys/{key['id']}")
        assert (revoked.json()["revokedBy"], revoked.json()["revokedAt"] is None) == ("admin", False)
        assert (await shown(rest, key["key"])).status_code == 401
        async with asyncio.timeout(PATIENCE_S):
            await until_refused(other, bearer(key["key"]))
    assert (await rest.delete(f"/api/keys/{key['id']}")).json() == revoked.json()
    assert (await rest.delete(f"/api/keys/{new_job_id()}")).status_code == 404
    assert (await rest.delete("/api/keys/none")).status_code == 404


async def test_expired_and_invented_keys_are_refused(rest: httpx.AsyncClient) -> None:
    soon = SystemClock().now() + timedelta(seconds=3.0)
    key = await made(rest, "VIEWER", "brief", expiresAt=soon.isoformat())
    await until_refused(rest, bearer(key["key"]))
    assert (await shown(rest, new_key().text)).status_code == 401
    past = {"name": "x", "role": "VIEWER", "expiresAt": "2020-01-01T00:00:00Z"}
    refused = await rest.post("/api/keys", json=past)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "expiresAt")


async def test_session_of_a_key_ends_with_the_key(stack: Stack, rest: httpx.AsyncClient) -> None:
    key = await made(rest, "OPERATOR", "page-user")
    signed = await rest.post("/api/session", json={"token": key["key"]})
    cookie = {"Cookie": signed.headers["set-cookie"].partition(";")[0]}
    rest.cookies.clear()
    transport = httpx.ASGITransport(app=stack.rest.app)
    page = httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=cookie)
    assert (await page.get("/api/queues")).status_code == 200
    changed = {CSRF_HEADER: signed.json()["csrfToken"], "Origin": "http://gateway"}
    assert (await page.post("/api/queues/cpu/resume", headers=changed)).status_code == 200
    await rest.delete(f"/api/keys/{key['id']}")
    assert (await page.get("/api/queues")).status_code == 401


async def test_ended_sessions_are_forgotten_when_their_cookies_have_expired(stack: Stack) -> None:
    now = SystemClock().now()
    async with Client(stack.scheduler.address) as client:
        await client.end_session("over", expires_at=now - timedelta(seconds=1))
        await client.end_session("good", expires_at=now + timedelta(hours=1))
        for name in ("", "a b", "x" * 65):
            with pytest.raises(InvalidError):
                await client.end_session(name, expires_at=now)
        with pytest.raises(InvalidError):
            await client.end_session("late", expires_at=now + timedelta(days=401))
        connection = await asyncpg.connect(stack.dsn, ssl=False)
        await prune_ended_sessions(connection, now=now.timestamp())
        await connection.close()
        ended = [await client.is_session_ended(name) for name in ("over", "good", "late", "other")]
    assert ended == [False, True, False, False]


async def test_key_gets_another_role_and_end(rest: httpx.AsyncClient) -> None:
    key = await made(rest, "VIEWER", "grows")
    path = f"/api/keys/{key['id']}"
    raised = await rest.patch(path, json={"role": "OPERATOR", "expiresAt": "2199-01-01T00:00:00Z"})
    assert raised.status_code == 200, raised.text
    expected = (key["id"], "grows", "OPERATOR", "2199-01-01T00:00:00.000Z")
    assert tuple(raised.json()[name] for name in ("id", "name", "role", "expiresAt")) == expected
    assert (await shown(rest, key["key"])).json()["role"] == "OPERATOR"
    endless = (await rest.patch(path, json={"expiresAt": None})).json()
    assert (endless["role"], endless["expiresAt"]) == ("OPERATOR", None)
    for wrong, status in (({}, 422), ({"expiresAt": "2020-01-01T00:00:00Z"}, 422), ({"name": "x"}, 422)):
        assert (await rest.patch(path, json=wrong)).status_code == status
    await rest.delete(path)
    assert (await rest.patch(path, json={"role": "VIEWER"})).status_code == 409
    for absent in (new_job_id(), "none"):
        assert (await rest.patch(f"/api/keys/{absent}", json={"role": "VIEWER"})).status_code == 404


async def test_same_key_twice_is_one_and_another_under_its_id_is_a_conflict(stack: Stack) -> None:
    async with Client(stack.scheduler.address) as client:
        secret = new_key()
        role = AccessRole.ACCESS_ROLE_VIEWER
        key = await client.create_key(secret, name="twice", role=role, created_by="test")
        found = await client.resolve_key(sha256=secret.sha256)
        assert (found.id, found.name) == (key.id, "twice")
        assert (await client.resolve_key(key_id=key.id)).HasField("last_used_at")
        again = await client.revoke_key(key.id, by="test")
        assert (await client.revoke_key(key.id, by="another")) == again
        with pytest.raises(NotFoundError):
            await client.resolve_key(sha256=new_key().sha256)


async def test_keys_are_listed_page_by_page(rest: httpx.AsyncClient) -> None:
    ids = [(await made(rest, "VIEWER", f"page-{number}"))["id"] for number in range(3)]
    first = (await rest.get("/api/keys", params={"limit": 2})).json()
    assert [key["id"] for key in first["data"]] == [ids[2], ids[1]]
    second = (await rest.get("/api/keys", params={"limit": 1, "cursor": first["nextCursor"]})).json()
    assert [key["id"] for key in second["data"]] == [ids[0]]


async def test_changes_and_wrong_credentials_are_on_record_with_who_and_from_where(
    rest: httpx.AsyncClient,
) -> None:
    key = await made(rest, "OPERATOR", "steering")
    job = new_job_id()
    await rest.post(f"/api/media/jobs/{job}/cancel?why=1", headers=bearer(key["key"]))
    [entry] = await on_record(rest, f"/api/media/jobs/{job}/cancel")
    assert entry | {"id": entry["id"], "at": entry["at"]} == {
        "id": entry["id"],
        "at": entry["at"],
        "actor": "key:steering",
        "address": "127.0.0.1",
        "action": "POST /api/media/jobs/{job_id}/cancel",
        "target": f"/api/media/jobs/{job}/cancel?why=1",
        "status": 404,
        "said": "",
    }
    await rest.patch("/api/queues?mine", json={"scope": "cpu", "hostLimit": 7})
    [changed] = await on_record(rest, "/api/queues?mine")
    assert (changed["actor"], changed["status"]) == ("admin", 200)
    assert "hostLimit" in str(changed["said"])
    await rest.get("/api/workers?wrong", headers=bearer("wrong"))
    [wrong] = await on_record(rest, "/api/workers?wrong")
    assert (wrong["actor"], wrong["status"], wrong["action"]) == (None, 401, "GET /api/workers")
    await rest.post("/api/session?wrong", json={"token": "very secret"})
    [signed] = await on_record(rest, "/api/session?wrong")
    assert (signed["actor"], signed["status"], signed["said"]) == (None, 401, "")


async def test_trail_is_filtered_by_actor_and_time_and_read_page_by_page(rest: httpx.AsyncClient) -> None:
    key = await made(rest, "OPERATOR", "busy")
    targets = [f"/api/media/jobs/{new_job_id()}/retry" for _ in range(3)]
    for target in targets:
        await rest.post(target, headers=bearer(key["key"]))
    await on_record(rest, targets[-1])
    asked: dict[str, str | int] = {"actor": "key:busy", "limit": 2}
    first = (await rest.get("/api/audit", params=asked)).json()
    assert [entry["target"] for entry in first["data"]] == [targets[2], targets[1]]
    rest_of = (await rest.get("/api/audit", params=asked | {"cursor": first["nextCursor"]})).json()
    assert [entry["target"] for entry in rest_of["data"]] == [targets[0]]
    assert rest_of["nextCursor"] is None
    at = first["data"][0]["at"]
    later = await rest.get("/api/audit", params={"actor": "key:busy", "since": "2999-01-01T00:00:00Z"})
    earlier = await rest.get("/api/audit", params={"actor": "key:busy", "until": "2000-01-01T00:00:00Z"})
    since = await rest.get("/api/audit", params={"actor": "key:busy", "since": at})
    assert (later.json()["data"], earlier.json()["data"]) == ([], [])
    assert targets[2] in {entry["target"] for entry in since.json()["data"]}


async def test_nobody_can_alter_the_trail(stack: Stack, rest: httpx.AsyncClient) -> None:
    target = f"/api/media/jobs/{new_job_id()}/pause"
    await rest.post(target)
    await on_record(rest, target)
    connection = await asyncpg.connect(stack.dsn, ssl=False)
    for statement in (
        "UPDATE audit_entry SET actor = 'nobody'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
            await connection.execute(statement)
    await connection.close()


async def test_only_what_is_past_retention_is_dropped_from_the_trail(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.dsn, ssl=False)
    old = "01800000-0000-7000-8000-000000000000"
    await connection.execute(
        "INSERT INTO audit_entry VALUES ($1, now() - interval '91 days', '', '', '', '', 200, '')", old
    )
    count = "SELECT count(*) FROM audit_entry WHERE id = $1"
    now = SystemClock().now().timestamp()
    await prune_audit(connection, before=now - 92 * 86_400)
    assert await connection.fetchval(count, old) == 1
    await prune_audit(connection, before=now - 90.5 * 86_400)
    assert await connection.fetchval(count, old) == 0
    await connection.close()


async def test_command_line_makes_lists_and_revokes_keys_and_reads_the_trail(
    stack: Stack, tmp_path: Path
) -> None:
    callsheet = CommandLine(tmp_path, scheduler=stack.scheduler.address)
    created = await callsheet.run("keys", "create", "by-hand", "--role", "operator", "--days", "2")
    key = created.out.strip()
    assert (created.code, parse_key(key) is not None, key in created.err) == (0, True, False)
    assert (await shown(stack.rest, key)).json()["role"] == "OPERATOR"
    target = f"/api/media/jobs/{new_job_id()}/cancel"
    await stack.rest.post(target, headers=bearer(key))
    await on_record(stack.rest, target)
    [entry] = (await callsheet.run("audit", "list", "--actor", "key:by-hand", "--json")).documents()
    assert (entry["target"], entry["status"]) == (target, 404)
    listed = (await callsheet.run("keys", "list", "--json")).documents()
    [own] = [one for one in listed if one["name"] == "by-hand"]
    changing = await callsheet.run(
        "keys", "change", str(own["id"]), "--role", "viewer", "--days", "0", "--json"
    )
    [changed] = changing.documents()
    assert (changed["role"], changed.get("expires_at")) == ("viewer", None)
    assert (await callsheet.run("keys", "revoke", str(own["id"]))).code == 0
    assert str(own["id"]) not in (await callsheet.run("keys", "list")).out
    assert str(own["id"]) in (await callsheet.run("keys", "list", "--all")).out
    await until_refused(stack.rest, bearer(key))
    path = "/callsheet.v1.AccessService/"
    acts = [entry for entry in await on_record(stack.rest, path) if entry["actor"] == me()]
    assert [(act["target"], act["status"]) for act in acts] == [
        (path + "RevokeApiKey", 200),
        (path + "ChangeApiKey", 200),
        (path + "CreateApiKey", 200),
    ]
    assert all(str(own["id"]) in str(act["said"]) for act in acts)
    assert {str(act["address"]) for act in acts} <= {"127.0.0.1", "::1"}
    assert "sha256" not in str(acts[-1]["said"])


async def test_act_over_grpc_is_on_record_with_its_outcome_and_one_over_rest_only_once(
    stack: Stack,
) -> None:
    job = new_job_id()
    async with Client(stack.scheduler.address, said=acting_as("Zoë's script")) as client:
        with pytest.raises(NotFoundError):
            await client.cancel(job)
    async with Client(stack.scheduler.address) as client:
        with pytest.raises(NotFoundError):
            await client.cancel(job)
    path = f"/api/media/jobs/{job}/cancel"
    await stack.rest.post(path)
    await on_record(stack.rest, path)
    answer = await stack.rest.get("/api/audit", params={"limit": 200})
    entries = OBJECTS.validate_python(answer.json()["data"])
    about = [entry for entry in entries if job in f"{entry['target']} {entry['said']}"]
    assert [(entry["action"], entry["actor"], entry["status"]) for entry in about] == [
        ("POST /api/media/jobs/{job_id}/cancel", "admin", 404),
        ("gRPC JobService/CancelJob", "grpc", 404),
        ("gRPC JobService/CancelJob", "Zo?'s script", 404),
    ]


async def test_too_many_wrong_credentials_and_changes_are_put_off(stack: Stack) -> None:
    settings = GatewaySettings(sign_in_failures_per_min=3, changes_per_s=0.1, changes_burst=2)
    async with rest_over(stack.scheduler.address, settings) as rest:
        wrong = [await rest.get("/api/queues", headers=bearer(new_key().text)) for _ in range(5)]
        assert [answer.status_code for answer in wrong] == [401, 401, 401, 429, 429]
        assert int(wrong[-1].headers["retry-after"]) >= 1
        assert (await rest.get("/api/queues")).status_code == 200
        changes = [await rest.post("/api/queues/cpu/resume") for _ in range(3)]
        assert [answer.status_code for answer in changes] == [200, 200, 429]
        assert 5 <= int(changes[-1].headers["retry-after"]) <= 10
        assert (await rest.get("/api/queues")).status_code == 200


# Every endpoint against every credential


async def test_every_endpoint_lets_in_exactly_whom_the_table_says(stack: Stack) -> None:
    """Generated from the OpenAPI document: no credential, each role, and every way of having none."""
    rest = stack.rest
    good = {
        role: str((await made(rest, role.name, "walk"))["key"]) for role in Role if role is not Role.PUBLIC
    }
    revoked = await made(rest, "SUPER_ADMIN", "walk")
    await rest.delete(f"/api/keys/{revoked['id']}")
    token = own_jwt()
    bad = {
        "none": None,
        "expired": own_jwt(exp=1_000),
        "wrong audience": own_jwt(aud="others"),
        "tampered": token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB"),
        "revoked": str(revoked["key"]),
    }
    walked, surprises = 0, list[str]()
    for method, template in sorted(endpoints()):
        path = template.replace("{", "").replace("}", "").replace("item_id", new_job_id())
        needed = ROLES[method, template]
        for name, credential in bad.items():
            status = await status_of(rest, method, path, credential)
            walked += 1
            if template == "/api/session" and method == "POST":
                continue  # its credential is in the body
            if (status == 401) != (needed is not Role.PUBLIC):
                surprises.append(f"{method} {template} with {name}: {status}")
        for role, credential in good.items():
            status = await status_of(rest, method, path, credential)
            walked += 1
            if needed is Role.PUBLIC:
                continue
            if (status == 403) != (role < needed) or status == 401:
                surprises.append(f"{method} {template} as {role.name}: {status}")
    assert surprises == []
    assert walked == 9 * len(list(endpoints())) > 9 * 50


async def test_scheduler_that_is_away_for_a_moment_locks_nobody_out(stack: Stack) -> None:
    """The last test: it ends the scheduler."""
    key = await made(stack.rest, "VIEWER", "steady")
    settings = GatewaySettings(key_fresh_s=0.0, key_stale_s=1000.0)
    patience = Patience(total_s=0.2, try_s=0.2)
    async with rest_over(stack.scheduler.address, settings, patience=patience) as rest:
        assert (await shown(rest, key["key"])).status_code == 200
        await stack.scheduler.kill()
        assert (await shown(rest, key["key"])).status_code == 200
        unknown = await shown(rest, new_key().text)
        assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "2")
